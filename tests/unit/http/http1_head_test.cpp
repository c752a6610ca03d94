// Heads of HTTP/1 that are accepted, responses, and what is written back.
#include "http1_support.hpp"

#include <gmock/gmock.h>

using namespace sluice;
using namespace sluice::http;
using namespace sluice::http::http1;
using namespace sluice::http::http1::test;
using Kind = Framing::Kind;

namespace {

/// A parser that has read `text` as one complete request.
RequestParser parsed(std::string_view text)
{
    EXPECT_EQ(feed_every_way<RequestParser>(text), (Outcome{Status::complete, {}, {}})) << text;
    RequestParser parser;
    EXPECT_EQ(parser.feed(as_bytes(text)).status, Status::complete);
    return parser;
}

TEST(RequestHead, is_taken_apart_and_normalised)
{
    RequestParser parser = parsed("GET /a/./%7Eb?q=%zz&r=| HTTP/1.1\r\n"
                                  "Host: Example.org:8080\r\n"
                                  "X-Empty:\r\n"
                                  "X-Spaces: \t a  b \t\r\n"
                                  "X-Text: \xc3\xa9\r\n"
                                  "\r\n");
    const RequestHead& head = parser.head();
    EXPECT_EQ(head.method, "GET");
    EXPECT_EQ(head.target, "/a/./%7Eb?q=%zz&r=|");
    EXPECT_EQ(head.path, "/a/~b");
    EXPECT_EQ(head.query, "q=%zz&r=|");
    EXPECT_TRUE(head.has_query);
    EXPECT_EQ(head.authority, "Example.org:8080");
    EXPECT_EQ(head.host, "example.org");
    EXPECT_EQ(head.port, 8080);
    EXPECT_EQ(head.version, Version::http11);
    EXPECT_FALSE(head.fields.contains("host"));
    EXPECT_EQ(head.fields.find("x-empty"), "");
    EXPECT_EQ(head.fields.find("x-spaces"), "a  b");
    EXPECT_EQ(head.fields.find("x-text"), "\xc3\xa9");
    EXPECT_EQ(parser.framing(), Framing{});
}

TEST(RequestHead, one_empty_line_before_it_is_ignored)
{
    EXPECT_EQ(parsed("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n").head().path, "/");
}

TEST(RequestHead, pipelined_requests_are_told_apart_at_every_cut)
{
    const std::string first = "GET /1 HTTP/1.1\r\nHost: a\r\n\r\n";
    const std::string second = "GET /2 HTTP/1.1\r\nHost: b\r\nX: y\r\n\r\n";
    EXPECT_EQ(feed_every_way<RequestParser>(first + second), (Outcome{Status::complete, {}, second}));
    RequestParser parser;
    EXPECT_FALSE(parser.started());
    EXPECT_EQ(parser.feed(as_bytes(first + second)).consumed, first.size());
    EXPECT_TRUE(parser.started());
    EXPECT_EQ(parser.feed(as_bytes(second)).consumed, 0U) << "complete until reset()";
    parser.reset();
    EXPECT_FALSE(parser.started());
    EXPECT_EQ(parser.feed(as_bytes(second)).status, Status::complete);
    EXPECT_EQ(parser.head().path, "/2");
    EXPECT_EQ(parser.head().authority, "b");
    EXPECT_EQ(parser.head().fields.size(), 1U);
}

TEST(RequestHead, http10_needs_no_host)
{
    const RequestParser parser = parsed("GET / HTTP/1.0\r\n\r\n");
    EXPECT_EQ(parser.head().version, Version::http10);
    EXPECT_EQ(parser.head().authority, "");
}

TEST(RequestHead, absolute_target_gives_scheme_and_authority)
{
    const RequestParser parser = parsed("GET HTTPS://A.example:443/x?y HTTP/1.1\r\nHost: a.example\r\n\r\n");
    EXPECT_EQ(parser.head().scheme, "https");
    EXPECT_EQ(parser.head().authority, "a.example");
    EXPECT_EQ(parser.head().path, "/x");
    EXPECT_EQ(parser.head().query, "y");
    EXPECT_EQ(parser.head().target, "HTTPS://A.example:443/x?y");
    EXPECT_EQ(parsed("GET http://a HTTP/1.1\r\nHost: a\r\n\r\n").head().path, "/");
    EXPECT_EQ(parsed("GET http://a?q HTTP/1.1\r\nHost: a\r\n\r\n").head().path, "/");
    EXPECT_EQ(parsed("GET http://a?q HTTP/1.1\r\nHost: a\r\n\r\n").head().query, "q");
    EXPECT_EQ(parsed("GET http://a/ HTTP/1.0\r\n\r\n").head().authority, "a");
    EXPECT_EQ(parsed("OPTIONS http://a HTTP/1.1\r\nHost: a\r\n\r\n").head().path, "*");
    EXPECT_EQ(parsed("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").head().path, "*");
}

TEST(RequestHead, framing_and_expectation_are_found)
{
    const auto request = [](std::string_view fields) {
        return "POST / HTTP/1.1\r\nHost: a\r\n" + std::string{fields} + "\r\n";
    };
    EXPECT_EQ(parsed(request("Content-Length: 0\r\n")).framing(), (Framing{Kind::length, 0}));
    EXPECT_EQ(parsed(request("Content-Length: 999999999999999999\r\n")).framing(),
              (Framing{Kind::length, 999999999999999999}));
    EXPECT_EQ(parsed(request("transfer-encoding: \tCHUNKED \r\n")).framing(), Framing{Kind::chunked});
    EXPECT_TRUE(parsed(request("Content-Length: 1\r\nExpect: 100-Continue\r\n")).expects_continue());
    EXPECT_FALSE(parsed(request("Content-Length: 0\r\nExpect: 100-continue\r\n")).expects_continue());
    EXPECT_FALSE(parsed("POST / HTTP/1.0\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n").expects_continue());
}

TEST(RequestHead, http10_loses_its_expectation)
{
    EXPECT_FALSE(parsed("POST / HTTP/1.0\r\nExpect: anything\r\n\r\n").head().fields.contains("expect"));
}

TEST(RequestHead, limits_are_met_exactly)
{
    const std::string text = "GET /23456789 HTTP/1.1\r\nHost: a\r\nX: 1\r\n\r\n";
    const auto status = [&](HeadLimits limits) { return feed_every_way<RequestParser>(text, limits).status; };
    const auto bytes = static_cast<std::uint32_t>(text.size());
    EXPECT_EQ(status({.header_bytes = bytes}), Status::complete);
    EXPECT_EQ(status({.header_bytes = bytes - 1}), Status::refused);
    EXPECT_EQ(status({.target_bytes = 9}), Status::complete);
    EXPECT_EQ(status({.target_bytes = 8}), Status::refused);
    EXPECT_EQ(status({.field_count = 2}), Status::complete);
    EXPECT_EQ(status({.field_count = 1}), Status::refused);
}

TEST(KeepAlive, follows_version_and_connection)
{
    const auto keeps = [](std::string_view line, std::string_view connection) {
        RequestParser parser =
            parsed("GET / " + std::string{line} + "\r\nHost: a\r\n" + std::string{connection} + "\r\n");
        return keep_alive(parser.head().version, parser.head().fields);
    };
    EXPECT_TRUE(keeps("HTTP/1.1", ""));
    EXPECT_FALSE(keeps("HTTP/1.1", "Connection: close\r\n"));
    EXPECT_FALSE(keeps("HTTP/1.1", "Connection: x, Close\r\n"));
    EXPECT_FALSE(keeps("HTTP/1.0", ""));
    EXPECT_TRUE(keeps("HTTP/1.0", "Connection: Keep-Alive\r\n"));
    EXPECT_FALSE(keeps("HTTP/1.0", "Connection: keep-alive\r\nConnection: close\r\n"));
}

TEST(WebSocket, upgrade_needs_every_part)
{
    const std::string start = "GET /chat HTTP/1.1\r\nHost: a\r\n";
    const std::string key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    const auto asks = [](const std::string& text) {
        const RequestParser parser = parsed(text + "\r\n");
        return is_websocket_upgrade(parser.head(), parser.framing());
    };
    EXPECT_TRUE(asks(start + "Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n" + key));
    EXPECT_FALSE(asks(start + "Upgrade: websocket\r\n" + key));
    EXPECT_FALSE(asks(start + "Connection: upgrade\r\n" + key));
    EXPECT_FALSE(asks(start + "Connection: upgrade\r\nUpgrade: h2c\r\n" + key));
    EXPECT_FALSE(asks(start + "Connection: upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n" + key));
    EXPECT_FALSE(asks(start + "Connection: upgrade\r\nUpgrade: websocket\r\n"));
    EXPECT_FALSE(asks(start + "Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 5\r\n" + key));
    EXPECT_FALSE(asks("POST / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n" + key));
    EXPECT_FALSE(asks("GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: websocket\r\n" + key));
}

TEST(ResponseHead, is_parsed_with_and_without_a_reason_phrase)
{
    for (const std::string_view line :
         {"HTTP/1.1 204 No Content", "HTTP/1.1 204 ", "HTTP/1.1 204", "HTTP/1.1 204 \xc3\xa9"}) {
        const std::string text = std::string{line} + "\r\nServer: x\r\n\r\n";
        EXPECT_EQ(feed_every_way<ResponseParser>(text + "rest"), (Outcome{Status::complete, {}, "rest"})) << line;
        ResponseParser parser;
        ASSERT_EQ(parser.feed(as_bytes(text)).status, Status::complete);
        EXPECT_EQ(parser.head().status, 204);
        EXPECT_EQ(parser.head().fields.find("server"), "x");
    }
}

TEST(ResponseHead, malformed_ones_are_refused)
{
    using enum Reason;
    struct Row {
        std::string text;
        Reason reason;
    };
    const Row rows[] = {
        {"HTTP/1.1 200 OK\nX: y\r\n\r\n", bare_lf},
        {"HTTP/1.1 200 OK\r\nX: y\n\r\n", bare_lf},
        {"HTTP/1.1 200 O\rK\r\n\r\n", bare_cr},
        {"HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n", obs_fold},
        {"HTTP/1.1 200 OK\r\nX : a\r\n\r\n", space_before_colon},
        {"HTTP/1.1 200 OK\r\nX\r\n\r\n", field_name_invalid},
        {"HTTP/1.1 200 OK\r\nX: \x01\r\n\r\n", control_character},
        {"HTTP/1.1 099 x\r\n\r\n", status_line_invalid},
        {"HTTP/1.1 600 x\r\n\r\n", status_line_invalid},
        {"HTTP/1.1 2000 x\r\n\r\n", status_line_invalid},
        {"HTTP/1.1 20 x\r\n\r\n", status_line_invalid},
        {"HTTP/1.1  200 x\r\n\r\n", status_line_invalid},
        {"HTTP/1.1 2x0 x\r\n\r\n", status_line_invalid},
        {"HTTP/1.1\r\n\r\n", status_line_invalid},
        {"HTTP/2.0 200 x\r\n\r\n", version_unsupported},
        {"ICY 200 OK\r\n\r\n", status_line_invalid},
        {"\r\nHTTP/1.1 200 OK\r\n\r\n", status_line_invalid},
        {"<html>", status_line_invalid},
    };
    for (const Row& row : rows) {
        const Outcome outcome = feed_every_way<ResponseParser>(row.text);
        ASSERT_EQ(outcome.status, Status::refused) << row.text;
        EXPECT_EQ(name(*outcome.reason), name(row.reason)) << row.text;
    }
    EXPECT_EQ(feed_every_way<ResponseParser>("HTTP/1.1 200 OK\r\nX: " + std::string(300, 'x') + "\r\n\r\n",
                                             {.header_bytes = 256})
                  .reason,
              header_too_large);
}

TEST(ResponseFraming, follows_status_method_and_fields)
{
    const auto framing = [](std::uint16_t status, std::string_view method, std::initializer_list<Field> fields,
                            Version version = Version::http11) {
        ResponseHead head;
        head.status = status;
        head.version = version;
        for (const Field& field : fields) {
            EXPECT_TRUE(head.fields.add(field.name, field.value));
        }
        return response_framing(head, method);
    };
    EXPECT_EQ(framing(200, "GET", {{"Content-Length", "5"}}), (Framing{Kind::length, 5}));
    EXPECT_EQ(framing(200, "GET", {{"Transfer-Encoding", "chunked"}}), Framing{Kind::chunked});
    EXPECT_EQ(framing(200, "GET", {}), Framing{Kind::until_close});
    EXPECT_EQ(framing(200, "HEAD", {{"Content-Length", "5"}}), Framing{});
    EXPECT_EQ(framing(200, "HEAD", {{"Transfer-Encoding", "chunked"}}), Framing{});
    EXPECT_EQ(framing(304, "GET", {{"Content-Length", "5"}}), Framing{});
    EXPECT_EQ(framing(204, "GET", {}), Framing{});
    EXPECT_EQ(framing(100, "GET", {}), Framing{});
    EXPECT_EQ(framing(101, "GET", {}), Framing{Kind::tunnel});
    const auto reason = [&](std::initializer_list<Field> fields, Version version = Version::http11,
                            std::string_view method = "GET") {
        const auto result = framing(200, method, fields, version);
        return result ? std::string_view{} : name(result.error());
    };
    EXPECT_EQ(reason({{"Content-Length", "5"}, {"Transfer-Encoding", "chunked"}}),
              "content_length_with_transfer_encoding");
    EXPECT_EQ(reason({{"Content-Length", "5"}, {"Content-Length", "5"}}), "content_length_duplicate");
    EXPECT_EQ(reason({{"Content-Length", "5, 5"}}), "content_length_duplicate");
    EXPECT_EQ(reason({{"Content-Length", "-1"}}), "content_length_invalid");
    EXPECT_EQ(reason({{"Content-Length", "-1"}}, Version::http11, "HEAD"), "content_length_invalid");
    EXPECT_EQ(reason({{"Transfer-Encoding", "gzip"}}), "transfer_encoding_invalid");
    EXPECT_EQ(reason({{"Transfer-Encoding", "gzip, chunked"}}), "transfer_encoding_unsupported");
    EXPECT_EQ(reason({{"Transfer-Encoding", "chunked"}}, Version::http10), "transfer_encoding_http10");
}

TEST(Serialiser, request_reads_back_as_the_same_request)
{
    RequestParser parser =
        parsed("POST http://A.b/x/../y%7e?q HTTP/1.0\r\nAccept: */*\r\nX: 1\r\nX: 2\r\nContent-Length: 3\r\n\r\n");
    RequestHead& head = parser.head();
    remove_hop_by_hop(head.fields);
    ASSERT_TRUE(set_framing(head.fields, Framing{Kind::chunked}));
    std::string out;
    append_request_head(out, head);
    EXPECT_EQ(out,
              "POST /y~?q HTTP/1.1\r\nHost: A.b\r\nAccept: */*\r\nX: 1\r\nX: 2\r\nTransfer-Encoding: chunked\r\n\r\n");
    const RequestParser again = parsed(out);
    EXPECT_EQ(again.head().path, head.path);
    EXPECT_EQ(again.head().host, head.host);
    EXPECT_EQ(again.framing(), Framing{Kind::chunked});
}

TEST(Serialiser, response_reads_back_as_the_same_response)
{
    ResponseHead head;
    head.status = 404;
    ASSERT_TRUE(head.fields.add("X", "y"));
    ASSERT_TRUE(set_framing(head.fields, Framing{Kind::length, 12}));
    ASSERT_TRUE(set_connection(head.fields, false, Version::http11));
    std::string out;
    append_response_head(out, head);
    EXPECT_EQ(out, "HTTP/1.1 404 Not Found\r\nX: y\r\nContent-Length: 12\r\nConnection: close\r\n\r\n");
    head.status = 299;
    head.fields.clear();
    out.clear();
    append_response_head(out, head);
    EXPECT_EQ(out, "HTTP/1.1 299 \r\n\r\n");
    EXPECT_EQ(feed_every_way<ResponseParser>(out).status, Status::complete);
}

TEST(Serialiser, connection_says_what_the_version_does_not)
{
    const auto connection = [](bool keep, Version version) {
        Fields fields;
        EXPECT_TRUE(fields.add("connection", "old"));
        EXPECT_TRUE(set_connection(fields, keep, version));
        return std::string{fields.find("connection").value_or("")};
    };
    EXPECT_EQ(connection(true, Version::http11), "");
    EXPECT_EQ(connection(true, Version::http10), "keep-alive");
    EXPECT_EQ(connection(false, Version::http11), "close");
}

TEST(Serialiser, simple_response_is_complete)
{
    std::string out;
    append_simple_response(out, 431, true);
    ResponseParser parser;
    const Progress progress = parser.feed(as_bytes(out));
    ASSERT_EQ(progress.status, Status::complete);
    EXPECT_EQ(parser.head().status, 431);
    EXPECT_FALSE(keep_alive(parser.head().version, parser.head().fields));
    EXPECT_EQ(response_framing(parser.head(), "GET"), (Framing{Kind::length, out.size() - progress.consumed}));
}

} // namespace
