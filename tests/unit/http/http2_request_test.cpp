// What HTTP/2 requests become, and which are refused: RFC 9113 section 8.
#include "http2_support.hpp"

using namespace sluice;
using namespace sluice::http;
using namespace sluice::http::http2;
using namespace sluice::http::http2::test;
using testing::ElementsAre;
using testing::Pair;

namespace {

NameValues with(NameValues fields, const NameValues& more)
{
    fields.insert(fields.end(), more.begin(), more.end());
    return fields;
}

TEST(Http2Request, well_formed_request_becomes_a_normalised_head)
{
    Connection connection;
    const StreamId id = connection.request({{":method", "GET"},
                                            {":scheme", "https"},
                                            {":authority", "Example.ORG:8443"},
                                            {":path", "/a/./b/../%7Ec?q=1"},
                                            {"cookie", "a=1"},
                                            {"accept", "*/*"},
                                            {"cookie", "b=2"}});
    ASSERT_TRUE(connection.handler.requests.contains(id));
    const RequestHead& head = connection.handler.requests[id].head;
    EXPECT_EQ(head.version, Version::http2);
    EXPECT_EQ(head.method, "GET");
    EXPECT_EQ(head.scheme, "https");
    EXPECT_EQ(head.authority, "Example.ORG:8443");
    EXPECT_EQ(head.host, "example.org");
    EXPECT_EQ(head.port, 8443);
    EXPECT_EQ(head.path, "/a/~c");
    EXPECT_EQ(head.query, "q=1");
    EXPECT_EQ(head.fields.find("cookie"), "a=1; b=2");
    EXPECT_EQ(head.fields.size(), 2U);
    EXPECT_TRUE(connection.handler.requests[id].ended);
}

TEST(Http2Request, host_without_authority_becomes_the_authority_and_leaves_the_fields)
{
    Connection connection;
    const StreamId id =
        connection.request({{":method", "GET"}, {":scheme", "http"}, {":path", "/"}, {"host", "b.example"}});
    EXPECT_EQ(connection.handler.requests.at(id).head.authority, "b.example");
    EXPECT_FALSE(connection.handler.requests.at(id).head.fields.contains("host"));
}

TEST(Http2Request, equal_host_and_authority_are_one)
{
    Connection connection;
    const StreamId id = connection.request(with(simple_get, {{"host", "A:80"}}));
    EXPECT_EQ(connection.handler.requests.at(id).head.authority, "a");
    EXPECT_FALSE(connection.handler.requests.at(id).head.fields.contains("host"));
}

TEST(Http2Request, body_and_trailers_arrive_in_order)
{
    Connection connection;
    const StreamId id = connection.request(with(simple_post, {{"content-length", "5"}, {"te", "trailers"}}), false);
    connection.send_data(id, "he", false);
    connection.send_data(id, "llo", false);
    connection.send_trailers(id, {{"digest", "x"}});
    EXPECT_EQ(connection.handler.requests.at(id).body, "hello");
    EXPECT_TRUE(connection.handler.requests.at(id).ended);
    EXPECT_THAT(connection.handler.requests.at(id).trailers, ElementsAre(Pair("digest", "x")));
    EXPECT_TRUE(connection.handler.refused.empty());
}

struct HeaderCase {
    std::string name;
    NameValues fields;
    Reason reason;
    std::string status;
};

std::vector<HeaderCase> header_cases()
{
    using enum Reason;
    const NameValues::value_type method{":method", "GET"};
    const NameValues::value_type scheme{":scheme", "http"};
    const NameValues::value_type authority{":authority", "a"};
    const NameValues::value_type path{":path", "/"};
    return {
        {"no_method", {scheme, authority, path}, pseudo_header_invalid, "400"},
        {"no_scheme", {method, authority, path}, pseudo_header_invalid, "400"},
        {"no_path", {method, scheme, authority}, pseudo_header_invalid, "400"},
        {"no_authority", {method, scheme, path}, host_missing, "400"},
        {"two_methods", {method, method, scheme, authority, path}, pseudo_header_invalid, "400"},
        {"two_paths", {method, scheme, authority, path, path}, pseudo_header_invalid, "400"},
        {"two_authorities", {method, scheme, authority, authority, path}, pseudo_header_invalid, "400"},
        {"unknown_pseudo", {method, scheme, authority, path, {":x", "1"}}, pseudo_header_invalid, "400"},
        {"response_pseudo", {method, scheme, authority, path, {":status", "200"}}, pseudo_header_invalid, "400"},
        {"extended_connect",
         {{":method", "CONNECT"}, {":protocol", "websocket"}, scheme, authority, path},
         pseudo_header_invalid,
         "400"},
        {"pseudo_after_field", {method, scheme, authority, {"x", "1"}, path}, pseudo_header_invalid, "400"},
        {"method_with_space", {{":method", "GET /x HTTP/1.1"}, scheme, authority, path}, pseudo_header_invalid, "400"},
        {"method_with_line_end", {{":method", "GET\r\nX: y"}, scheme, authority, path}, pseudo_header_invalid, "400"},
        {"connect", {{":method", "CONNECT"}, {":authority", "a:443"}}, method_unsupported, "501"},
        {"path_empty", {method, scheme, authority, {":path", ""}}, target_invalid, "400"},
        {"path_relative", {method, scheme, authority, {":path", "a"}}, target_invalid, "400"},
        {"path_with_space", {method, scheme, authority, {":path", "/ HTTP/1.1"}}, target_invalid, "400"},
        {"path_with_line_end", {method, scheme, authority, {":path", "/\r\nX: y"}}, pseudo_header_invalid, "400"},
        {"path_nul", {method, scheme, authority, {":path", "/%00"}}, path_nul, "400"},
        {"path_above_root", {method, scheme, authority, {":path", "/../a"}}, path_above_root, "400"},
        {"path_long", {method, scheme, authority, {":path", "/" + std::string(9000, 'a')}}, target_too_long, "414"},
        {"scheme_other", {method, {":scheme", "gopher"}, authority, path}, scheme_unsupported, "400"},
        {"scheme_with_line_end", {method, {":scheme", "http://x/\r\n"}, authority, path}, pseudo_header_invalid, "400"},
        {"authority_user", {method, scheme, {":authority", "u@a"}, path}, host_invalid, "400"},
        {"authority_empty", {method, scheme, {":authority", ""}, path}, host_invalid, "400"},
        {"authority_and_other_host", {method, scheme, authority, path, {"host", "b"}}, host_mismatch, "400"},
        {"authority_and_two_hosts",
         {method, scheme, authority, path, {"host", "a"}, {"host", "a"}},
         host_duplicate,
         "400"},
        {"name_empty", {method, scheme, authority, path, {"", "1"}}, field_name_invalid, "400"},
        {"name_with_colon", {method, scheme, authority, path, {"x:y", "1"}}, field_name_invalid, "400"},
        {"name_with_space", {method, scheme, authority, path, {"x ", "1"}}, field_name_invalid, "400"},
        {"name_with_line_end", {method, scheme, authority, path, {"x\r\n", "1"}}, field_name_invalid, "400"},
        {"value_with_line_end", {method, scheme, authority, path, {"x", "1\r\ny: 2"}}, field_value_invalid, "400"},
        {"value_with_lf", {method, scheme, authority, path, {"x", "1\ny"}}, field_value_invalid, "400"},
        {"value_with_nul",
         {method, scheme, authority, path, {"x", std::string{"1\0y", 3}}},
         field_value_invalid,
         "400"},
        {"value_leading_space", {method, scheme, authority, path, {"x", " 1"}}, field_value_invalid, "400"},
        {"value_trailing_tab", {method, scheme, authority, path, {"x", "1\t"}}, field_value_invalid, "400"},
        {"connection", {method, scheme, authority, path, {"connection", "close"}}, connection_specific_field, "400"},
        {"keep_alive", {method, scheme, authority, path, {"keep-alive", "5"}}, connection_specific_field, "400"},
        {"proxy_connection",
         {method, scheme, authority, path, {"proxy-connection", "x"}},
         connection_specific_field,
         "400"},
        {"transfer_encoding",
         {method, scheme, authority, path, {"transfer-encoding", "chunked"}},
         connection_specific_field,
         "400"},
        {"upgrade", {method, scheme, authority, path, {"upgrade", "h2c"}}, connection_specific_field, "400"},
        {"te_other", {method, scheme, authority, path, {"te", "trailers, deflate"}}, connection_specific_field, "400"},
        {"length_twice",
         {method, scheme, authority, path, {"content-length", "0"}, {"content-length", "0"}},
         content_length_duplicate,
         "400"},
        {"length_word", {method, scheme, authority, path, {"content-length", "0x0"}}, content_length_invalid, "400"},
        {"length_without_body",
         {method, scheme, authority, path, {"content-length", "5"}},
         content_length_mismatch,
         "400"},
        {"expect_other", {method, scheme, authority, path, {"expect", "200-ok"}}, expectation_unsupported, "417"},
        {"header_large", {method, scheme, authority, path, {"x", std::string(33000, 'a')}}, header_too_large, "431"},
        {"fields_many", with({method, scheme, authority, path}, NameValues(130, {"x", "1"})), too_many_fields, "431"},
    };
}

class Http2Refusal : public testing::TestWithParam<HeaderCase> {};

TEST_P(Http2Refusal, complete_request_is_answered_and_never_delivered)
{
    const HeaderCase& row = GetParam();
    Connection connection;
    const StreamId id = connection.request(row.fields);
    EXPECT_TRUE(connection.handler.requests.empty());
    ASSERT_EQ(connection.handler.refused.size(), 1U);
    EXPECT_EQ(connection.handler.refused[0].first, id);
    EXPECT_EQ(name(connection.handler.refused[0].second), name(row.reason));
    EXPECT_EQ(connection.answers[id].status, row.status);
    EXPECT_EQ(connection.answers[id].body, "");
    if (row.status == "400") {
        EXPECT_EQ(connection.answers[id].reset, NGHTTP2_PROTOCOL_ERROR);
    } else {
        EXPECT_TRUE(connection.answers[id].ended);
    }
    EXPECT_EQ(connection.session.open_streams(), 0U);
}

TEST_P(Http2Refusal, connection_goes_on_with_the_next_request)
{
    Connection connection;
    connection.request(GetParam().fields);
    const StreamId next = connection.request(simple_get);
    EXPECT_TRUE(connection.handler.requests.contains(next));
    EXPECT_TRUE(connection.goaways.empty());
}

INSTANTIATE_TEST_SUITE_P(table, Http2Refusal, testing::ValuesIn(header_cases()),
                         [](const testing::TestParamInfo<HeaderCase>& row) { return row.param.name; });

TEST(Http2Refusal, upper_case_name_in_head_and_trailers_is_refused)
{
    Connection connection;
    connection.exchange();
    connection.feed(Connection::frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, 1,
                                      std::string{Connection::get_block} + Connection::literal("X-y", "1")));
    connection.feed(Connection::frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 3, Connection::get_block));
    connection.feed(Connection::frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, 3,
                                      Connection::literal("x-Y", "1")));
    connection.drain();
    EXPECT_FALSE(connection.handler.requests.contains(1));
    EXPECT_EQ(connection.handler.requests.at(3).reset, ErrorCode::protocol_error);
    EXPECT_THAT(connection.handler.refused,
                ElementsAre(Pair(1, Reason::field_name_invalid), Pair(3, Reason::field_name_invalid)));
}

TEST(Http2Refusal, incomplete_request_over_a_limit_is_answered_and_reset_without_error)
{
    Connection connection;
    const StreamId id = connection.request(with(simple_post, {{"x", std::string(33000, 'a')}}), false);
    EXPECT_EQ(connection.answers[id].status, "431");
    EXPECT_TRUE(connection.answers[id].ended);
    EXPECT_EQ(connection.answers[id].reset, NGHTTP2_NO_ERROR);
}

TEST(Http2Refusal, more_data_than_content_length_resets_the_stream_before_the_excess_is_delivered)
{
    Connection connection;
    const StreamId id = connection.request(with(simple_post, {{"content-length", "3"}}), false);
    connection.send_data(id, "ab", false);
    connection.send_data(id, "cd", true);
    EXPECT_EQ(connection.handler.requests.at(id).body, "ab");
    EXPECT_FALSE(connection.handler.requests.at(id).ended);
    EXPECT_EQ(connection.handler.requests.at(id).reset, ErrorCode::protocol_error);
    EXPECT_EQ(connection.answers[id].reset, NGHTTP2_PROTOCOL_ERROR);
    ASSERT_EQ(connection.handler.refused.size(), 1U);
    EXPECT_EQ(connection.handler.refused[0].second, Reason::content_length_mismatch);
}

TEST(Http2Refusal, less_data_than_content_length_resets_the_stream_instead_of_ending_it)
{
    Connection connection;
    const StreamId id = connection.request(with(simple_post, {{"content-length", "3"}}), false);
    connection.send_data(id, "ab", true);
    EXPECT_FALSE(connection.handler.requests.at(id).ended);
    EXPECT_EQ(connection.handler.requests.at(id).reset, ErrorCode::protocol_error);
    EXPECT_EQ(connection.handler.refused.at(0).second, Reason::content_length_mismatch);
}

TEST(Http2Refusal, less_data_than_content_length_before_trailers_resets_the_stream)
{
    Connection connection;
    const StreamId id = connection.request(with(simple_post, {{"content-length", "3"}}), false);
    connection.send_trailers(id, {{"x", "1"}});
    EXPECT_FALSE(connection.handler.requests.at(id).ended);
    EXPECT_EQ(connection.handler.refused.at(0).second, Reason::content_length_mismatch);
}

struct TrailerCase {
    std::string name;
    NameValues fields;
    bool end;
    Reason reason;
};

class Http2Trailer : public testing::TestWithParam<TrailerCase> {};

TEST_P(Http2Trailer, is_refused_and_the_stream_reset)
{
    Connection connection;
    const StreamId id = connection.request(simple_post, false);
    connection.send_data(id, "x", false);
    connection.send_trailers(id, GetParam().fields, GetParam().end);
    EXPECT_FALSE(connection.handler.requests.at(id).ended);
    EXPECT_EQ(connection.handler.requests.at(id).reset, ErrorCode::protocol_error);
    ASSERT_EQ(connection.handler.refused.size(), 1U);
    EXPECT_EQ(name(connection.handler.refused[0].second), name(GetParam().reason));
}

INSTANTIATE_TEST_SUITE_P(table, Http2Trailer,
                         testing::ValuesIn(std::vector<TrailerCase>{
                             {"pseudo", {{":path", "/x"}}, true, Reason::pseudo_header_invalid},
                             {"host", {{"host", "b"}}, true, Reason::trailer_forbidden},
                             {"content_length", {{"content-length", "1"}}, true, Reason::trailer_forbidden},
                             {"transfer_encoding", {{"transfer-encoding", "chunked"}}, true, Reason::trailer_forbidden},
                             {"line_end", {{"x", "1\r\ny: 2"}}, true, Reason::field_value_invalid},
                             {"large", {{"x", std::string(33000, 'a')}}, true, Reason::header_too_large},
                             {"without_end", {{"x", "1"}}, false, Reason::http2_message_invalid},
                         }),
                         [](const testing::TestParamInfo<TrailerCase>& row) { return row.param.name; });

} // namespace
