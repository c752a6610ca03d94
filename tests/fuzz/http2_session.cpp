// A session fed with frames of a hostile client: the first byte picks how the input is cut and how the server behaves.
// Whatever comes, memory stays under its cap, every stream ends at most once, and the head of each request is sound.
#include <sluice/http/http2.hpp>

#include <cstdlib>
#include <map>

using namespace sluice;
using namespace sluice::http;
using namespace sluice::http::http2;

namespace {

void require(bool condition)
{
    if (!condition) {
        std::abort();
    }
}

class Server final : public Handler {
public:
    explicit Server(std::uint8_t behaviour) : behaviour_{behaviour} {}

    void on_request(StreamId stream, RequestHead& head, bool end) override
    {
        require(!open_.contains(stream));
        require(is_token(head.method) && !head.path.empty() && !head.host.empty());
        require(head.path.front() == '/' || head.path == "*");
        require(!head.fields.contains("host") && !head.fields.contains("transfer-encoding") &&
                !head.fields.contains("connection"));
        for (const Field field : head.fields) {
            require(is_token(field.name) && is_field_value(field.value));
        }
        open_[stream] = end;
        if ((behaviour_ & 1U) != 0) {
            answer(stream);
        }
    }
    void on_data(StreamId stream, Bytes data) override
    {
        require(open_.contains(stream) && !open_[stream]);
        if ((behaviour_ & 2U) != 0) {
            session->consume(stream, data.size());
        }
    }
    void on_end(StreamId stream, Fields&) override
    {
        require(open_.contains(stream) && !open_[stream]);
        open_[stream] = true;
        if ((behaviour_ & 4U) != 0) {
            answer(stream);
        } else if ((behaviour_ & 8U) != 0) {
            session->reset(stream, ErrorCode::internal_error);
        }
    }
    BodyPiece on_pull(StreamId stream, MutableBytes out) override
    {
        require(open_.contains(stream) && !out.empty());
        out[0] = std::byte{'x'};
        return {1, (++pulls_ & 3U) == 0, &trailers_};
    }
    void on_complete(StreamId stream) override { require(open_.erase(stream) == 1); }
    void on_reset(StreamId stream, ErrorCode) override { require(open_.erase(stream) == 1); }
    void on_refused(StreamId, Reason reason, const RequestHead*) override { require(!name(reason).empty()); }

    [[nodiscard]] std::size_t open() const noexcept { return open_.size(); }
    ServerSession* session = nullptr;

private:
    void answer(StreamId stream)
    {
        ResponseHead head;
        require(head.fields.add("Server", "x"));
        static_cast<void>(session->submit_response(stream, head, (behaviour_ & 16U) != 0));
    }

    std::uint8_t behaviour_;
    unsigned pulls_ = 0;
    std::map<StreamId, bool> open_;
    Fields trailers_;
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    if (size < 2) {
        return 0;
    }
    Limits limits;
    limits.concurrent_streams = 8;
    limits.memory_bytes = 256 * 1024;
    limits.header_list_bytes = 4096;
    TimePoint now{std::chrono::seconds{1}};
    Server server{data[0]};
    ServerSession session{server, limits, now};
    server.session = &session;
    const std::string text =
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + std::string{reinterpret_cast<const char*>(data) + 2, size - 2};
    const std::size_t step = 1 + data[1] * std::size_t{4};
    bool over = false;
    for (std::size_t at = 0; at < text.size() && !over; at += step) {
        const std::string piece = text.substr(at, step);
        over = !session.feed({reinterpret_cast<const std::byte*>(piece.data()), piece.size()}, now);
        std::string out;
        session.append_output(out, 1U << 16U, now);
        now += std::chrono::milliseconds{1};
        require(session.memory_bytes() <= limits.memory_bytes);
        require(over || session.finished() || server.open() == session.open_streams());
        require(session.open_streams() <= limits.concurrent_streams);
        if (at > text.size() / 2 && (data[0] & 32U) != 0) {
            session.shutdown();
        }
    }
    return 0;
}
