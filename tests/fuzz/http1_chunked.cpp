// Chunked bodies: cut anywhere they mean the same, the payload lies in the input, and what is written from it reads
// back.
#include <sluice/http/http1.hpp>

#include <cstdlib>

using namespace sluice;
using namespace sluice::http;
using namespace sluice::http::http1;

namespace {

void require(bool condition)
{
    if (!condition) {
        std::abort();
    }
}

Bytes as_bytes(std::string_view text) { return {reinterpret_cast<const std::byte*>(text.data()), text.size()}; }

struct Body {
    Status status = Status::need_more;
    std::string data;
    std::size_t consumed = 0;
};

void read(BodyReader& reader, std::string_view text, Body& body)
{
    Bytes in = as_bytes(text);
    while (!in.empty() && body.status == Status::need_more) {
        const BodyReader::Piece piece = reader.next(in);
        require(piece.consumed <= in.size() && piece.data.size() <= piece.consumed);
        require(piece.consumed != 0 || piece.status != Status::need_more);
        if (!piece.data.empty()) {
            require(piece.data.data() >= in.data() && piece.data.data() + piece.data.size() <= in.data() + in.size());
            body.data.append(reinterpret_cast<const char*>(piece.data.data()), piece.data.size());
        }
        body.status = piece.status;
        body.consumed += piece.consumed;
        in = in.subspan(piece.consumed);
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    if (size < 2) {
        return 0;
    }
    const std::string_view text{reinterpret_cast<const char*>(data) + 2, size - 2};
    const std::size_t cut = text.empty() ? 0 : (data[0] | static_cast<std::size_t>(data[1]) << 8U) % (text.size() + 1);
    const Framing chunked{Framing::Kind::chunked, 0};
    const HeadLimits limits{.header_bytes = 1024, .target_bytes = 1024, .field_count = 16};
    BodyReader whole{chunked, limits};
    Body expected;
    read(whole, text, expected);
    BodyReader parts{chunked, limits};
    Body split;
    read(parts, text.substr(0, cut), split);
    read(parts, text.substr(cut), split);
    require(split.status == expected.status && split.data == expected.data);
    if (expected.status == Status::refused) {
        require(whole.reason() == parts.reason());
        return 0;
    }
    require(split.consumed == expected.consumed);
    require(whole.payload_bytes() == expected.data.size());
    if (expected.status == Status::need_more) {
        require(whole.finish() == Status::refused);
        return 0;
    }
    std::string out;
    if (!expected.data.empty()) {
        append_chunk_start(out, expected.data.size());
        out.append(expected.data).append(chunk_end);
    }
    append_last_chunk(out, whole.trailers());
    BodyReader again{chunked};
    Body body;
    read(again, out, body);
    require(body.status == Status::complete && body.data == expected.data && body.consumed == out.size());
    require(again.trailers().size() == whole.trailers().size());
    return 0;
}
