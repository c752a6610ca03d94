// The smuggling table: what two HTTP implementations could read differently is refused, whatever the packets look like.
#include "http1_support.hpp"

using namespace sluice;
using namespace sluice::http;
using namespace sluice::http::http1;
using namespace sluice::http::http1::test;

namespace {

struct RefusalCase {
    std::string name;
    std::string text;
    Reason reason;
    std::uint16_t status;
};

std::string post(std::string_view fields, std::string_view version = "HTTP/1.1")
{
    return "POST / " + std::string{version} + "\r\nHost: a\r\n" + std::string{fields} + "\r\n";
}

std::string get(std::string_view target) { return "GET " + std::string{target} + " HTTP/1.1\r\nHost: a\r\n\r\n"; }

std::vector<RefusalCase> framing_cases()
{
    using enum Reason;
    return {
        {"cl_te", post("Content-Length: 6\r\nTransfer-Encoding: chunked\r\n"), content_length_with_transfer_encoding,
         400},
        {"te_cl", post("Transfer-Encoding: chunked\r\nContent-Length: 6\r\n"), content_length_with_transfer_encoding,
         400},
        {"te_identity_cl", post("Transfer-Encoding: identity\r\nContent-Length: 6\r\n"),
         content_length_with_transfer_encoding, 400},
        {"te_te", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), transfer_encoding_duplicate,
         400},
        {"te_te_identity", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n"),
         transfer_encoding_duplicate, 400},
        {"te_te_cow", post("Transfer-Encoding: chunked\r\nTransfer-encoding: cow\r\n"), transfer_encoding_duplicate,
         400},
        {"te_xchunked", post("Transfer-Encoding: xchunked\r\n"), transfer_encoding_invalid, 400},
        {"te_quoted", post("Transfer-Encoding: \"chunked\"\r\n"), transfer_encoding_invalid, 400},
        {"te_parameter", post("Transfer-Encoding: chunked;q=1\r\n"), transfer_encoding_invalid, 400},
        {"te_twice_in_list", post("Transfer-Encoding: chunked, chunked\r\n"), transfer_encoding_invalid, 400},
        {"te_trailing_comma", post("Transfer-Encoding: chunked,\r\n"), transfer_encoding_invalid, 400},
        {"te_not_final", post("Transfer-Encoding: chunked, gzip\r\n"), transfer_encoding_invalid, 400},
        {"te_identity", post("Transfer-Encoding: identity\r\n"), transfer_encoding_invalid, 400},
        {"te_empty", post("Transfer-Encoding:\r\n"), transfer_encoding_invalid, 400},
        {"te_gzip_chunked", post("Transfer-Encoding: gzip, chunked\r\n"), transfer_encoding_unsupported, 501},
        {"te_http10", post("Transfer-Encoding: chunked\r\n", "HTTP/1.0"), transfer_encoding_http10, 400},
        {"te_vertical_tab",
         post("Transfer-Encoding: \x0b"
              "chunked\r\n"),
         control_character, 400},
        {"te_space_before_colon", post("Transfer-Encoding : chunked\r\n"), space_before_colon, 400},
        {"te_tab_before_colon", post("Transfer-Encoding\t: chunked\r\n"), space_before_colon, 400},
        {"te_folded", post("Transfer-Encoding:\r\n chunked\r\n"), obs_fold, 400},
        {"te_hidden_behind_bare_lf", post("X: y\nTransfer-Encoding: chunked\r\n"), bare_lf, 400},
        {"te_hidden_behind_bare_cr", post("X: y\rTransfer-Encoding: chunked\r\n"), bare_cr, 400},
        {"cl_cl_equal", post("Content-Length: 6\r\nContent-Length: 6\r\n"), content_length_duplicate, 400},
        {"cl_cl_different", post("Content-Length: 6\r\ncontent-length: 5\r\n"), content_length_duplicate, 400},
        {"cl_list", post("Content-Length: 6, 6\r\n"), content_length_duplicate, 400},
        {"cl_plus", post("Content-Length: +6\r\n"), content_length_invalid, 400},
        {"cl_minus", post("Content-Length: -6\r\n"), content_length_invalid, 400},
        {"cl_minus_zero", post("Content-Length: -0\r\n"), content_length_invalid, 400},
        {"cl_hex", post("Content-Length: 0x6\r\n"), content_length_invalid, 400},
        {"cl_leading_zero", post("Content-Length: 010\r\n"), content_length_invalid, 400},
        {"cl_space_inside", post("Content-Length: 1 0\r\n"), content_length_invalid, 400},
        {"cl_fraction", post("Content-Length: 6.0\r\n"), content_length_invalid, 400},
        {"cl_exponent", post("Content-Length: 1e1\r\n"), content_length_invalid, 400},
        {"cl_underscore", post("Content-Length: 1_0\r\n"), content_length_invalid, 400},
        {"cl_semicolon", post("Content-Length: 6;\r\n"), content_length_invalid, 400},
        {"cl_empty", post("Content-Length:\r\n"), content_length_invalid, 400},
        {"cl_overflow_64", post("Content-Length: 18446744073709551622\r\n"), content_length_invalid, 400},
        {"cl_overflow_63", post("Content-Length: 9223372036854775808\r\n"), content_length_invalid, 400},
        {"cl_other_digits", post("Content-Length: \xd9\xa6\r\n"), content_length_invalid, 400},
        {"expect_other", post("Content-Length: 1\r\nExpect: 200-ok\r\n"), expectation_unsupported, 417},
        {"expect_twice", post("Content-Length: 1\r\nExpect: 100-continue\r\nExpect: 100-continue\r\n"),
         expectation_unsupported, 417},
    };
}

std::vector<RefusalCase> line_cases()
{
    using enum Reason;
    const std::string start = "GET / HTTP/1.1\r\n";
    return {
        {"bare_lf_after_request_line", "GET / HTTP/1.1\nHost: a\r\n\r\n", bare_lf, 400},
        {"bare_lf_after_field", start + "Host: a\n\r\n", bare_lf, 400},
        {"bare_lf_as_end", start + "Host: a\r\n\n", bare_lf, 400},
        {"bare_lf_first", "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", bare_lf, 400},
        {"bare_cr_in_value", start + "Host: a\r\nX: a\rb\r\n\r\n", bare_cr, 400},
        {"bare_cr_in_request_line", "GET /\r HTTP/1.1\r\nHost: a\r\n\r\n", bare_cr, 400},
        {"bare_cr_in_name", start + "X\rY: 1\r\n\r\n", bare_cr, 400},
        {"bare_cr_before_end", start + "Host: a\r\n\r\r\n", bare_cr, 400},
        {"nul_in_value", start + "Host: a\r\nX: a" + std::string(1, '\0') + "b\r\n\r\n", control_character, 400},
        {"nul_in_name", start + "X" + std::string(1, '\0') + ": b\r\n\r\n", control_character, 400},
        {"nul_in_target", "GET /" + std::string(1, '\0') + " HTTP/1.1\r\nHost: a\r\n\r\n", control_character, 400},
        {"delete_in_value", start + "Host: a\r\nX: \x7f\r\n\r\n", control_character, 400},
        {"escape_in_value", start + "Host: a\r\nX: \x1b[0m\r\n\r\n", control_character, 400},
        {"fold_with_space", start + "Host: a\r\nX: a\r\n b\r\n\r\n", obs_fold, 400},
        {"fold_with_tab", start + "Host: a\r\nX: a\r\n\tb\r\n\r\n", obs_fold, 400},
        {"space_before_first_field", start + " Host: a\r\n\r\n", obs_fold, 400},
        {"line_of_spaces", start + "Host: a\r\n  \r\n\r\n", obs_fold, 400},
        {"no_colon", start + "Host: a\r\nX\r\n\r\n", field_name_invalid, 400},
        {"empty_name", start + "Host: a\r\n: x\r\n\r\n", field_name_invalid, 400},
        {"space_in_name", start + "Host: a\r\nX Y: 1\r\n\r\n", field_name_invalid, 400},
        {"name_not_ascii", start + "Host: a\r\nX\xc3\xa9: 1\r\n\r\n", field_name_invalid, 400},
        {"name_in_brackets", start + "Host: a\r\n[X]: 1\r\n\r\n", field_name_invalid, 400},
        {"space_before_colon", start + "Host : a\r\n\r\n", space_before_colon, 400},
        {"host_missing", start + "\r\n", host_missing, 400},
        {"host_twice", start + "Host: a\r\nHost: a\r\n\r\n", host_duplicate, 400},
        {"host_twice_other_case", start + "Host: a\r\nhOST: b\r\n\r\n", host_duplicate, 400},
        {"host_empty", start + "Host:\r\n\r\n", host_invalid, 400},
        {"host_list", start + "Host: a, b\r\n\r\n", host_invalid, 400},
        {"host_space", start + "Host: a b\r\n\r\n", host_invalid, 400},
        {"host_user", start + "Host: u@a\r\n\r\n", host_invalid, 400},
        {"host_path", start + "Host: a/b\r\n\r\n", host_invalid, 400},
        {"host_port_word", start + "Host: a:http\r\n\r\n", host_invalid, 400},
        {"host_port_large", start + "Host: a:65536\r\n\r\n", host_invalid, 400},
        {"host_port_twice", start + "Host: a:1:2\r\n\r\n", host_invalid, 400},
        {"host_bracket_open", start + "Host: [::1\r\n\r\n", host_invalid, 400},
        {"host_bracket_behind", start + "Host: [::1]a\r\n\r\n", host_invalid, 400},
        {"host_not_ascii", start + "Host: \xc3\xa9\r\n\r\n", host_invalid, 400},
        {"host_differs", "GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", host_mismatch, 400},
        {"host_differs_in_port", "GET http://a:81/ HTTP/1.1\r\nHost: a\r\n\r\n", host_mismatch, 400},
    };
}

std::vector<RefusalCase> start_line_cases()
{
    using enum Reason;
    const std::string end = "\r\nHost: a\r\n\r\n";
    return {
        {"http09", "GET /\r\n", request_line_invalid, 400},
        {"two_spaces", "GET  / HTTP/1.1" + end, request_line_invalid, 400},
        {"trailing_space", "GET / HTTP/1.1 " + end, request_line_invalid, 400},
        {"space_in_target", "GET /a b HTTP/1.1" + end, request_line_invalid, 400},
        {"tab_as_separator", "GET\t/ HTTP/1.1" + end, method_invalid, 400},
        {"two_empty_lines", "\r\n\r\nGET / HTTP/1.1" + end, method_invalid, 400},
        {"leading_space", " GET / HTTP/1.1" + end, method_invalid, 400},
        {"tls_hello", "\x16\x03\x01\x02", method_invalid, 400},
        {"method_separator", "G(T / HTTP/1.1" + end, method_invalid, 400},
        {"method_endless", std::string(40, 'A') + " / HTTP/1.1" + end, method_too_long, 501},
        {"connect", "CONNECT a:443 HTTP/1.1" + end, method_unsupported, 501},
        {"version_word", "GET / HTTQ/1.1" + end, version_invalid, 400},
        {"version_lower", "GET / http/1.1" + end, version_invalid, 400},
        {"version_long", "GET / HTTP/1.10" + end, version_invalid, 400},
        {"version_short", "GET / HTTP/1" + end, version_invalid, 400},
        {"version_2", "PRI * HTTP/2.0" + end, version_unsupported, 505},
        {"version_12", "GET / HTTP/1.2" + end, version_unsupported, 505},
        {"version_09", "GET / HTTP/0.9" + end, version_unsupported, 505},
        {"target_relative", get("a"), target_invalid, 400},
        {"target_fragment", get("/a#b"), target_invalid, 400},
        {"target_fragment_in_query", get("/a?b#c"), target_invalid, 400},
        {"target_not_ascii", get("/\xc3\xa9"), target_invalid, 400},
        {"target_star_get", get("*"), target_invalid, 400},
        {"target_scheme", get("ftp://a/"), scheme_unsupported, 400},
        {"target_user", get("http://u@a/"), host_invalid, 400},
        {"path_half_encoding", get("/%4"), path_encoding_invalid, 400},
        {"path_bad_encoding", get("/%zz"), path_encoding_invalid, 400},
        {"path_nul", get("/a%00b"), path_nul, 400},
        {"path_backslash", get("/a\\b"), path_backslash, 400},
        {"path_above_root", get("/../a"), path_above_root, 400},
        {"path_above_root_encoded", get("/a/%2e%2E/%2e./b"), path_above_root, 400},
        {"path_dots_encoded_slash", get("/a/..%2fb"), path_ambiguous, 400},
        {"path_dots_encoded_backslash", get("/a/..%5cb"), path_ambiguous, 400},
        {"path_dots_parameter", get("/a/..;x/b"), path_ambiguous, 400},
    };
}

std::vector<RefusalCase> limit_cases()
{
    using enum Reason;
    std::string many = "GET / HTTP/1.1\r\nHost: a\r\n";
    std::string options = "GET / HTTP/1.1\r\nHost: a\r\nConnection: a";
    for (int index = 0; index < 20; ++index) {
        many += "X: y\r\n";
        options += index % 4 == 0 ? "\r\nConnection: a" : ",";
    }
    return {
        {"target_long", get("/" + std::string(200, 'a')), target_too_long, 414},
        {"target_endless", "GET /" + std::string(2000, 'a'), target_too_long, 414},
        {"field_long", "GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(600, 'a') + "\r\n\r\n", header_too_large, 431},
        {"field_endless", "GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(600, 'a'), header_too_large, 431},
        {"fields_many", many + "\r\n", too_many_fields, 431},
        {"connection_options_many", options + "\r\n\r\n", too_many_fields, 431},
    };
}

class RequestRefusal : public testing::TestWithParam<RefusalCase> {};

TEST_P(RequestRefusal, whole_or_cut_anywhere_gives_the_same_reason)
{
    const RefusalCase& row = GetParam();
    const Outcome outcome = feed_every_way<RequestParser>(row.text);
    ASSERT_EQ(outcome.status, Status::refused);
    EXPECT_EQ(name(*outcome.reason), name(row.reason));
    EXPECT_EQ(status_of(*outcome.reason), row.status);
}

class RequestLimit : public testing::TestWithParam<RefusalCase> {};

TEST_P(RequestLimit, whole_or_cut_anywhere_gives_the_same_reason)
{
    const RefusalCase& row = GetParam();
    const Outcome outcome =
        feed_every_way<RequestParser>(row.text, {.header_bytes = 512, .target_bytes = 128, .field_count = 16});
    ASSERT_EQ(outcome.status, Status::refused);
    EXPECT_EQ(name(*outcome.reason), name(row.reason));
    EXPECT_EQ(status_of(*outcome.reason), row.status);
}

std::string case_name(const testing::TestParamInfo<RefusalCase>& info) { return info.param.name; }

INSTANTIATE_TEST_SUITE_P(framing, RequestRefusal, testing::ValuesIn(framing_cases()), case_name);
INSTANTIATE_TEST_SUITE_P(lines, RequestRefusal, testing::ValuesIn(line_cases()), case_name);
INSTANTIATE_TEST_SUITE_P(start_line, RequestRefusal, testing::ValuesIn(start_line_cases()), case_name);
INSTANTIATE_TEST_SUITE_P(limits, RequestLimit, testing::ValuesIn(limit_cases()), case_name);

} // namespace
