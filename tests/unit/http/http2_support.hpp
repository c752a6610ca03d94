// A client for ServerSession: nghttp2's client side for well-behaved traffic, raw frames for the rest.
#pragma once

#include <sluice/http/http2.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nghttp2/nghttp2.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

namespace sluice::http::http2::test {

using NameValues = std::vector<std::pair<std::string, std::string>>;

inline const NameValues simple_get{{":method", "GET"}, {":scheme", "http"}, {":authority", "a"}, {":path", "/"}};
inline const NameValues simple_post{{":method", "POST"}, {":scheme", "http"}, {":authority", "a"}, {":path", "/"}};

/// Remembers what the session told it; answers when a test says so.
class RecordingHandler : public Handler {
public:
    struct Request {
        RequestHead head;
        std::string body;
        NameValues trailers;
        bool ended = false;
        bool complete = false;
        std::optional<ErrorCode> reset;
    };
    struct Source {
        std::string data;
        bool end = false;
        Fields trailers;
    };

    void on_request(StreamId stream, RequestHead& head, bool end) override
    {
        EXPECT_FALSE(requests.contains(stream));
        requests[stream].head = std::move(head);
        requests[stream].ended = end;
        if (answer_at_once) {
            EXPECT_TRUE(session->submit_response(stream, *answer_at_once, false));
        }
    }
    void on_data(StreamId stream, Bytes data) override
    {
        EXPECT_TRUE(open(stream));
        requests[stream].body.append(reinterpret_cast<const char*>(data.data()), data.size());
    }
    void on_end(StreamId stream, Fields& trailers) override
    {
        EXPECT_TRUE(open(stream));
        EXPECT_FALSE(requests[stream].ended);
        requests[stream].ended = true;
        for (const Field field : trailers) {
            requests[stream].trailers.emplace_back(field.name, field.value);
        }
    }
    BodyPiece on_pull(StreamId stream, MutableBytes out) override
    {
        EXPECT_TRUE(open(stream));
        ++pulls;
        Source& source = sources[stream];
        const std::size_t bytes = source.data.copy(reinterpret_cast<char*>(out.data()), out.size());
        source.data.erase(0, bytes);
        return {bytes, source.end && source.data.empty(), &source.trailers};
    }
    void on_complete(StreamId stream) override
    {
        EXPECT_TRUE(open(stream));
        requests[stream].complete = true;
    }
    void on_reset(StreamId stream, ErrorCode code) override
    {
        EXPECT_TRUE(open(stream));
        requests[stream].reset = code;
    }
    void on_refused(StreamId stream, Reason reason, const RequestHead*) override
    {
        refused.emplace_back(stream, reason);
    }

    [[nodiscard]] bool open(StreamId stream) const
    {
        const auto found = requests.find(stream);
        return found != requests.end() && !found->second.complete && !found->second.reset;
    }

    ServerSession* session = nullptr;
    std::optional<ResponseHead> answer_at_once;
    std::map<StreamId, Request> requests;
    std::map<StreamId, Source> sources;
    std::vector<std::pair<StreamId, Reason>> refused;
    int pulls = 0;
};

/// What the client saw.
struct Answer {
    std::string status;
    NameValues fields;
    NameValues trailers;
    std::vector<std::string> informational;
    std::string body;
    bool ended = false;
    std::optional<std::uint32_t> reset;
};

class Connection {
public:
    explicit Connection(const Limits& limits = {}) : session{handler, limits, now}
    {
        handler.session = &session;
        nghttp2_session_callbacks* callbacks = nullptr;
        nghttp2_session_callbacks_new(&callbacks);
        nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
        nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
        nghttp2_option* options = nullptr;
        nghttp2_option_new(&options);
        nghttp2_option_set_no_http_messaging(options, 1); // the tests send what a client must not send
        nghttp2_option_set_no_auto_window_update(options, 1);
        nghttp2_session_client_new2(&client, callbacks, this, options);
        nghttp2_option_del(options);
        nghttp2_session_callbacks_del(callbacks);
        nghttp2_submit_settings(client, NGHTTP2_FLAG_NONE, nullptr, 0);
    }
    ~Connection() { nghttp2_session_del(client); }
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    /// Sends a request; with a body, the stream stays open for send_data().
    StreamId request(const NameValues& fields, bool end = true)
    {
        auto block = to_block(fields);
        const std::uint8_t flags = end ? NGHTTP2_FLAG_END_STREAM : NGHTTP2_FLAG_NONE;
        const StreamId id = nghttp2_submit_headers(client, flags, -1, nullptr, block.data(), block.size(), nullptr);
        EXPECT_GT(id, 0);
        exchange();
        return id;
    }
    void send_trailers(StreamId id, const NameValues& fields, bool end = true)
    {
        auto block = to_block(fields);
        const std::uint8_t flags = end ? NGHTTP2_FLAG_END_STREAM : NGHTTP2_FLAG_NONE;
        nghttp2_submit_headers(client, flags, id, nullptr, block.data(), block.size(), nullptr);
        exchange();
    }
    /// A DATA frame of our own making, outside the client's flow control.
    void send_data(StreamId id, std::string_view data, bool end)
    {
        send_raw(frame(NGHTTP2_DATA, end ? 1 : 0, id, data));
    }
    void reset(StreamId id, std::uint32_t code = NGHTTP2_CANCEL)
    {
        nghttp2_submit_rst_stream(client, NGHTTP2_FLAG_NONE, id, code);
        exchange();
    }
    void send_raw(const std::string& bytes)
    {
        exchange();
        feed(bytes);
        exchange();
    }
    [[nodiscard]] static std::string frame(int type, int flags, StreamId id, std::string_view payload)
    {
        std::string out;
        out.push_back(static_cast<char>(payload.size() >> 16U));
        out.push_back(static_cast<char>(payload.size() >> 8U));
        out.push_back(static_cast<char>(payload.size()));
        out.push_back(static_cast<char>(type));
        out.push_back(static_cast<char>(flags));
        for (int shift = 24; shift >= 0; shift -= 8) {
            out.push_back(static_cast<char>(static_cast<std::uint32_t>(id) >> static_cast<unsigned>(shift)));
        }
        return out.append(payload);
    }

    /// A field as a literal of HPACK without Huffman and index (RFC 7541 section 6.2.2), for what the client's library
    /// would mend; up to 126 bytes each.
    [[nodiscard]] static std::string literal(std::string_view name, std::string_view value)
    {
        std::string out(1, '\0');
        out.append(1, static_cast<char>(name.size())).append(name);
        return out.append(1, static_cast<char>(value.size())).append(value);
    }
    /// GET http://a/ from HPACK's static table.
    static constexpr std::string_view get_block{"\x82\x84\x86\x41\x01"
                                                "a"};

    /// Carries bytes both ways until neither side has more to say.
    void exchange()
    {
        bool moved = true;
        while (moved) {
            moved = false;
            const std::uint8_t* data = nullptr;
            for (ssize_t size = nghttp2_session_mem_send(client, &data); size > 0;
                 size = nghttp2_session_mem_send(client, &data)) {
                feed({reinterpret_cast<const char*>(data), static_cast<std::size_t>(size)});
                moved = true;
            }
            std::string out;
            session.append_output(out, 1 << 20, now);
            if (!out.empty()) {
                moved = true;
                nghttp2_session_mem_recv(client, reinterpret_cast<const std::uint8_t*>(out.data()), out.size());
            }
        }
    }
    /// Throws away what the session sends: for streams and acknowledgements that the client's library does not know.
    void drain()
    {
        std::string out;
        session.append_output(out, 1 << 20, now);
    }
    void feed(std::string_view bytes)
    {
        if (!failure) {
            const auto result = session.feed({reinterpret_cast<const std::byte*>(bytes.data()), bytes.size()}, now);
            if (!result) {
                failure = result.error();
            }
        }
    }
    /// The client read these bytes of a response.
    void client_consumes(StreamId id, std::size_t bytes)
    {
        nghttp2_session_consume(client, id, bytes);
        exchange();
    }

    TimePoint now{std::chrono::seconds{1000}};
    RecordingHandler handler;
    ServerSession session;
    nghttp2_session* client = nullptr;
    std::map<StreamId, Answer> answers;
    std::vector<std::pair<StreamId, std::uint32_t>> goaways; ///< Last stream and code.
    std::optional<Reason> failure;

private:
    static std::vector<nghttp2_nv> to_block(const NameValues& fields)
    {
        std::vector<nghttp2_nv> block;
        const auto bytes = [](const std::string& text) {
            return reinterpret_cast<std::uint8_t*>(const_cast<char*>(text.data()));
        };
        for (const auto& [name, value] : fields) {
            block.push_back({bytes(name), bytes(value), name.size(), value.size(), NGHTTP2_NV_FLAG_NONE});
        }
        return block;
    }
    static int on_header(nghttp2_session*, const nghttp2_frame* frame, const std::uint8_t* name, std::size_t name_size,
                         const std::uint8_t* value, std::size_t value_size, std::uint8_t, void* user)
    {
        Answer& answer = static_cast<Connection*>(user)->answers[frame->hd.stream_id];
        const std::string field{reinterpret_cast<const char*>(name), name_size};
        const std::string text{reinterpret_cast<const char*>(value), value_size};
        if (field == ":status" && text.starts_with('1')) {
            answer.informational.push_back(text);
        } else if (field == ":status") {
            EXPECT_TRUE(answer.status.empty()) << "two final answers";
            answer.status = text;
        } else if (answer.body.empty() && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0) {
            answer.fields.emplace_back(field, text);
        } else {
            (answer.body.empty() ? answer.fields : answer.trailers).emplace_back(field, text);
        }
        return 0;
    }
    static int on_data(nghttp2_session*, std::uint8_t, StreamId id, const std::uint8_t* data, std::size_t size,
                       void* user)
    {
        static_cast<Connection*>(user)->answers[id].body.append(reinterpret_cast<const char*>(data), size);
        return 0;
    }
    static int on_frame(nghttp2_session*, const nghttp2_frame* frame, void* user)
    {
        Connection& self = *static_cast<Connection*>(user);
        if (frame->hd.type == NGHTTP2_GOAWAY) {
            self.goaways.emplace_back(frame->goaway.last_stream_id, frame->goaway.error_code);
        } else if (frame->hd.type == NGHTTP2_RST_STREAM) {
            self.answers[frame->hd.stream_id].reset = frame->rst_stream.error_code;
        } else if ((frame->hd.type == NGHTTP2_DATA || frame->hd.type == NGHTTP2_HEADERS) &&
                   (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) {
            self.answers[frame->hd.stream_id].ended = true;
        }
        return 0;
    }
};

} // namespace sluice::http::http2::test
