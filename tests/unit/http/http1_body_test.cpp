// Bodies of HTTP/1: in place, strict, and the same whatever the packets look like.
#include "http1_support.hpp"

using namespace sluice;
using namespace sluice::http;
using namespace sluice::http::http1;
using namespace sluice::http::http1::test;
using Kind = Framing::Kind;

namespace {

struct Body {
    Status status = Status::need_more;
    std::string data;
    std::string rest;
    std::optional<Reason> reason;
    std::string trailers;

    bool operator==(const Body&) const = default;
};

std::ostream& operator<<(std::ostream& out, const Body& body)
{
    return out << static_cast<int>(body.status) << " data \"" << body.data << "\" rest \"" << body.rest
               << "\" trailers \"" << body.trailers << "\" " << (body.reason ? name(*body.reason) : "");
}

Body read_pieces(const Framing& framing, const std::vector<std::string_view>& pieces, const HeadLimits& limits)
{
    BodyReader reader{framing, limits};
    Body body;
    body.status = reader.complete() ? Status::complete : Status::need_more;
    for (const std::string_view piece : pieces) {
        Bytes in = as_bytes(piece);
        while (!in.empty() && body.status == Status::need_more) {
            const BodyReader::Piece step = reader.next(in);
            EXPECT_LE(step.consumed, in.size());
            EXPECT_TRUE(step.consumed != 0 || step.status != Status::need_more) << "no progress";
            EXPECT_TRUE(step.data.empty() ||
                        (step.data.data() >= in.data() && step.data.data() + step.data.size() <= in.data() + in.size()))
                << "payload is in place";
            body.data += as_string(step.data);
            body.status = step.status;
            in = in.subspan(step.consumed);
        }
        if (body.status == Status::complete) {
            body.rest += as_string(in);
        }
    }
    if (body.status == Status::refused) {
        body.reason = reader.reason();
        body.data.clear(); // how much was delivered before a refusal depends on the pieces
    }
    for (const Field field : reader.trailers()) {
        body.trailers.append(field.name).append("=").append(field.value).append(";");
    }
    if (body.status == Status::complete) {
        EXPECT_EQ(reader.payload_bytes(), body.data.size());
    } else {
        body.trailers.clear();
    }
    return body;
}

Body read_every_way(const Framing& framing, std::string_view text, const HeadLimits& limits = {})
{
    const Body expected = read_pieces(framing, {text}, limits);
    for (std::size_t cut = 1; cut < text.size(); ++cut) {
        EXPECT_EQ(read_pieces(framing, {text.substr(0, cut), text.substr(cut)}, limits), expected) << "cut at " << cut;
    }
    std::vector<std::string_view> single;
    for (std::size_t at = 0; at < text.size(); ++at) {
        single.push_back(text.substr(at, 1));
    }
    EXPECT_EQ(read_pieces(framing, single, limits), expected) << "byte by byte";
    return expected;
}

constexpr Framing chunked{Kind::chunked};

TEST(Body, of_a_length_ends_there)
{
    EXPECT_EQ(read_every_way(Framing{Kind::length, 5}, "hellorest"), (Body{Status::complete, "hello", "rest", {}, {}}));
    EXPECT_EQ(read_every_way(Framing{Kind::length, 0}, "rest"), (Body{Status::complete, "", "rest", {}, {}}));
    EXPECT_EQ(read_every_way(Framing{}, "rest"), (Body{Status::complete, "", "rest", {}, {}}));
    EXPECT_EQ(read_every_way(Framing{Kind::length, 5}, "hell").status, Status::need_more);
}

TEST(Body, until_close_ends_only_there)
{
    BodyReader reader{Framing{Kind::until_close}};
    EXPECT_EQ(as_string(reader.next(as_bytes("abc")).data), "abc");
    EXPECT_FALSE(reader.complete());
    EXPECT_EQ(reader.finish(), Status::complete);
    EXPECT_TRUE(reader.complete());
}

TEST(Body, that_is_cut_off_is_never_complete)
{
    for (const std::string_view text :
         {"5", "5\r", "5\r\n", "5\r\nhell", "5\r\nhello", "5\r\nhello\r\n", "0\r\n", "0\r\nX: y\r\n", "0\r\n\r"}) {
        BodyReader reader{chunked};
        Bytes in = as_bytes(text);
        while (!in.empty()) {
            in = in.subspan(reader.next(in).consumed);
        }
        EXPECT_EQ(reader.finish(), Status::refused) << text;
        EXPECT_EQ(reader.reason(), Reason::body_truncated) << text;
    }
    BodyReader reader{Framing{Kind::length, 3}};
    EXPECT_EQ(reader.next(as_bytes("ab")).status, Status::need_more);
    EXPECT_EQ(reader.finish(), Status::refused);
}

TEST(ChunkedBody, is_joined_and_its_trailers_kept)
{
    EXPECT_EQ(
        read_every_way(chunked, "5\r\nhello\r\nA;x=y; z=\"q\"\r\n, world...\r\n000\r\nDigest: x\r\nY:z \r\n\r\nrest"),
        (Body{Status::complete, "hello, world...", "rest", {}, "Digest=x;Y=z;"}));
    EXPECT_EQ(read_every_way(chunked, "0\r\n\r\n"), (Body{Status::complete, "", "", {}, {}}));
    EXPECT_EQ(read_every_way(chunked, "1;\r\na\r\n0;x\r\n\r\n").data, "a");
}

struct ChunkCase {
    std::string name;
    std::string text;
    Reason reason;
};

std::vector<ChunkCase> chunk_cases()
{
    using enum Reason;
    return {
        {"no_size", "\r\nhello", chunk_size_invalid},
        {"no_size_but_extension", ";x\r\n", chunk_size_invalid},
        {"size_word", "x\r\n", chunk_size_invalid},
        {"size_prefix", "0x5\r\nhello\r\n", chunk_size_invalid},
        {"size_sign", "+5\r\nhello\r\n", chunk_size_invalid},
        {"size_minus", "-1\r\n", chunk_size_invalid},
        {"size_leading_space", " 5\r\nhello\r\n", chunk_size_invalid},
        {"size_trailing_space", "5 \r\nhello\r\n", chunk_size_invalid},
        {"size_underscore", "1_0\r\n", chunk_size_invalid},
        {"size_overflow", "10000000000000005\r\nhello\r\n", chunk_size_invalid},
        {"size_wraps_sign", "8000000000000000\r\n", chunk_size_invalid},
        {"size_zeros", "0000000000000005\r\nhello\r\n", chunk_size_invalid},
        {"bare_lf_after_size", "5\nhello\r\n", bare_lf},
        {"bare_lf_after_extension", "5;x\nhello\r\n", bare_lf},
        {"bare_lf_after_data", "5\r\nhello\n0\r\n\r\n", bare_lf},
        {"bare_lf_after_last_chunk", "0\n\r\n", bare_lf},
        {"bare_lf_as_end", "0\r\n\n", bare_lf},
        {"bare_cr_after_size", "5\rhello", bare_cr},
        {"nul_in_extension", std::string{"5;\0\r\n", 5}, chunk_extension_invalid},
        {"extension_long", "5;" + std::string(300, 'x') + "\r\n", chunk_overhead},
        {"data_longer_than_size", "4\r\nhello\r\n", chunk_end_invalid},
        {"data_shorter_than_size", "6\r\nhello\r\n0\r\n\r\n", bare_lf},
        {"data_end_cr_only", "5\r\nhello\rX", chunk_end_invalid},
        {"trailer_fold", "0\r\nX: a\r\n b\r\n\r\n", obs_fold},
        {"trailer_space_before_colon", "0\r\nX : a\r\n\r\n", space_before_colon},
        {"trailer_request", "0\r\nGET /admin HTTP/1.1\r\n\r\n", field_name_invalid},
        {"trailer_length", "0\r\nContent-Length: 5\r\n\r\n", trailer_forbidden},
        {"trailer_encoding", "0\r\nTransfer-Encoding: chunked\r\n\r\n", trailer_forbidden},
        {"trailer_host", "0\r\nHost: a\r\n\r\n", trailer_forbidden},
        {"trailer_connection", "0\r\nConnection: close\r\n\r\n", trailer_forbidden},
        {"trailer_large", "0\r\nX: " + std::string(300, 'x') + "\r\n\r\n", header_too_large},
        {"trailer_endless", "0\r\nX: " + std::string(300, 'x'), header_too_large},
        {"trailers_many", "0\r\nX: 1\r\nX: 2\r\nX: 3\r\nX: 4\r\nX: 5\r\n\r\n", too_many_fields},
    };
}

class ChunkedRefusal : public testing::TestWithParam<ChunkCase> {};

TEST_P(ChunkedRefusal, whole_or_cut_anywhere_gives_the_same_reason)
{
    const Body body = read_every_way(chunked, GetParam().text, {.header_bytes = 256, .field_count = 4});
    ASSERT_EQ(body.status, Status::refused);
    EXPECT_EQ(name(*body.reason), name(GetParam().reason));
    EXPECT_EQ(body.rest, "");
}

INSTANTIATE_TEST_SUITE_P(table, ChunkedRefusal, testing::ValuesIn(chunk_cases()),
                         [](const testing::TestParamInfo<ChunkCase>& row) { return row.param.name; });

TEST(ChunkedBody, of_tiny_chunks_is_fine_but_extensions_must_not_outweigh_the_data)
{
    const auto read = [](std::string_view chunk, int count) {
        std::string text;
        for (int index = 0; index < count; ++index) {
            text += chunk;
        }
        return read_pieces(chunked, {text + "0\r\n\r\n"}, {});
    };
    EXPECT_EQ(read("1\r\nx\r\n", 100000).data.size(), 100000U);
    const std::string padded = "1;" + std::string(200, 'x') + "\r\nx\r\n";
    EXPECT_EQ(read(padded, 50).status, Status::complete);
    EXPECT_EQ(read(padded, 1000).reason, Reason::chunk_overhead);
}

TEST(ChunkedBody, written_reads_back)
{
    std::string out;
    append_chunk_start(out, 26);
    out += "abcdefghijklmnopqrstuvwxyz";
    out += chunk_end;
    Fields trailers;
    ASSERT_TRUE(trailers.add("Digest", "1"));
    append_last_chunk(out, trailers);
    EXPECT_EQ(out, "1a\r\nabcdefghijklmnopqrstuvwxyz\r\n0\r\nDigest: 1\r\n\r\n");
    EXPECT_EQ(read_every_way(chunked, out),
              (Body{Status::complete, "abcdefghijklmnopqrstuvwxyz", "", {}, "Digest=1;"}));
}

} // namespace
