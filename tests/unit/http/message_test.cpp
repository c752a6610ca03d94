// Fields, paths, authorities, connection-bound fields: what both versions share.
#include <sluice/http/message.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

using namespace sluice;
using namespace sluice::http;
using testing::ElementsAre;

namespace {

Fields fields_of(std::initializer_list<Field> list)
{
    Fields fields;
    for (const Field& field : list) {
        EXPECT_TRUE(fields.add(field.name, field.value));
    }
    return fields;
}

std::vector<std::string> names_of(const Fields& fields)
{
    std::vector<std::string> names;
    for (const Field field : fields) {
        names.emplace_back(field.name);
    }
    return names;
}

TEST(Fields, are_found_without_case_and_kept_in_order)
{
    const Fields fields = fields_of({{"Accept", "a"}, {"X", "1"}, {"aCCept", "b"}, {"Accepu", "c"}});
    EXPECT_EQ(fields.find("ACCEPT"), "a");
    EXPECT_EQ(fields.count("accept"), 2U);
    EXPECT_FALSE(fields.find("Accep"));
    std::vector<std::string> values;
    fields.for_each("accept", [&](std::string_view value) { values.emplace_back(value); });
    EXPECT_THAT(values, ElementsAre("a", "b"));
    EXPECT_THAT(names_of(fields), ElementsAre("Accept", "X", "aCCept", "Accepu"));
}

TEST(Fields, set_replaces_all_of_a_name_at_the_first_place)
{
    Fields fields = fields_of({{"a", "1"}, {"B", "2"}, {"b", "3"}, {"c", "4"}, {"b", "5"}});
    ASSERT_TRUE(fields.set("b", "new"));
    EXPECT_THAT(names_of(fields), ElementsAre("a", "b", "c"));
    EXPECT_EQ(fields.find("B"), "new");
    ASSERT_TRUE(fields.set("d", "6"));
    EXPECT_EQ(fields.size(), 4U);
    EXPECT_EQ(fields.remove("A"), 1U);
    EXPECT_EQ(fields.remove("A"), 0U);
    EXPECT_THAT(names_of(fields), ElementsAre("b", "c", "d"));
}

TEST(Fields, may_be_built_from_views_of_themselves)
{
    Fields fields = fields_of({{"name", "value"}});
    for (int round = 0; round < 200; ++round) {
        ASSERT_TRUE(fields.add(fields[0].name, fields[0].value));
        ASSERT_TRUE(fields.set("other", fields[0].value));
    }
    EXPECT_EQ(fields.count("name"), 201U);
    EXPECT_EQ(fields[201].value, "value");
    EXPECT_EQ(fields.find("other"), "value");
}

TEST(Fields, refuse_to_outgrow_their_cap_and_stay_as_they_were)
{
    Fields fields{20};
    EXPECT_TRUE(fields.add("name", "1234567890"));
    EXPECT_FALSE(fields.add("name", "123"));
    EXPECT_FALSE(fields.set("name", "1234567"));
    EXPECT_TRUE(fields.add("na", "1234"));
    EXPECT_EQ(fields.size(), 2U);
    EXPECT_EQ(fields.find("name"), "1234567890");
    EXPECT_FALSE(Fields{}.add(std::string(70000, 'n'), ""));
    fields.clear();
    EXPECT_TRUE(fields.add("name", "1234567890123456"));
}

TEST(Fields, lists_are_split_over_commas_and_fields)
{
    const Fields fields = fields_of({{"Connection", " , keep-alive,\tX-A ,"}, {"connection", "close"}});
    EXPECT_TRUE(fields.list_contains("connection", "x-a"));
    EXPECT_TRUE(fields.list_contains("connection", "CLOSE"));
    EXPECT_FALSE(fields.list_contains("connection", "X"));
    EXPECT_FALSE(fields.list_contains("connection", ""));
}

TEST(Reasons, have_unique_names_and_a_client_or_server_status)
{
    std::set<std::string_view> names;
    for (std::size_t index = 0; index < reason_count; ++index) {
        const ReasonText& row = text(static_cast<Reason>(index));
        EXPECT_TRUE(names.insert(row.name).second) << row.name;
        EXPECT_TRUE(row.status == 0 || (row.status >= 400 && row.status < 600)) << row.name;
        EXPECT_FALSE(row.text.empty());
        EXPECT_TRUE(row.status == 0 || !reason_phrase(row.status).empty()) << row.status;
    }
}

TEST(Reasons, are_counted_each_for_itself)
{
    ReasonCounters counters;
    counters.count(Reason::bare_lf);
    counters.count(Reason::bare_lf);
    counters.count(Reason::obs_fold);
    EXPECT_EQ(counters.get(Reason::bare_lf), 2U);
    EXPECT_EQ(counters.get(Reason::obs_fold), 1U);
    EXPECT_EQ(counters.get(Reason::bare_cr), 0U);
}

struct PathCase {
    std::string_view path;
    std::string_view normal; ///< Empty: refused.
    Reason reason = Reason::bare_lf;
};

constexpr PathCase path_cases[] = {
    {"/", "/"},
    {"/a/b", "/a/b"},
    {"/a/./b", "/a/b"},
    {"/a/../b", "/b"},
    {"/a/b/..", "/a/"},
    {"/a/.", "/a/"},
    {"/.", "/"},
    {"/a/..", "/"},
    {"/a/b/../..", "/"},
    {"/a/...", "/a/..."},
    {"/a/.b/..c", "/a/.b/..c"},
    {"//a//b/", "//a//b/"},
    {"/a//../b", "/a/b"},
    {"/%61%2D%2e%5f%7e", "/a-._~"},
    {"/%2e%2E/", "", Reason::path_above_root},
    {"/a/%2e%2e/b", "/b"},
    {"/a%2fb%2Fc", "/a%2Fb%2Fc"},
    {"/%c3%a9", "/%C3%A9"},
    {"/%0d%0a", "/%0D%0A"},
    {"/%252e%252e/", "/%252e%252e/"},
    {"/a|b^{c}\"<>`[]", "/a%7Cb%5E%7Bc%7D%22%3C%3E%60%5B%5D"},
    {"/a;b=c/d,e@f:g!$&'()*+", "/a;b=c/d,e@f:g!$&'()*+"},
    {"/a/..;b", "", Reason::path_ambiguous},
    {"/a/.;b", "", Reason::path_ambiguous},
    {"/a/..%2f", "", Reason::path_ambiguous},
    {"/a%2f..", "", Reason::path_ambiguous},
    {"/a%5C..%5cb", "", Reason::path_ambiguous},
    {"/a%2f.b", "/a%2F.b"},
    {"/a/..%3bb", "/a/..%3Bb"},
    {"/%00", "", Reason::path_nul},
    {"/%", "", Reason::path_encoding_invalid},
    {"/%1", "", Reason::path_encoding_invalid},
    {"/%1g", "", Reason::path_encoding_invalid},
    {"/a\\b", "", Reason::path_backslash},
    {"/..", "", Reason::path_above_root},
    {"/a/../../b", "", Reason::path_above_root},
    {"/a b", "", Reason::target_invalid},
    {"/a#b", "", Reason::target_invalid},
    {"/\x7f", "", Reason::target_invalid},
    {"/\xc3\xa9", "", Reason::target_invalid},
    {"a", "", Reason::target_invalid},
    {"", "", Reason::target_invalid},
};

TEST(Path, normalises_as_the_table_says_and_only_once)
{
    for (const PathCase& row : path_cases) {
        std::string out;
        const auto result = normalise_path(row.path, out);
        ASSERT_EQ(result.has_value(), !row.normal.empty()) << row.path;
        if (!result) {
            EXPECT_EQ(name(result.error()), name(row.reason)) << row.path;
            continue;
        }
        EXPECT_EQ(out, row.normal) << row.path;
        std::string again;
        ASSERT_TRUE(normalise_path(out, again)) << row.path;
        EXPECT_EQ(again, out) << "normal form of " << row.path;
    }
}

TEST(Authority, is_taken_apart_as_the_table_says)
{
    const auto parsed = [](std::string_view text) { return parse_authority(text); };
    EXPECT_EQ(parsed("Example.ORG"), (Authority{"example.org", 0}));
    EXPECT_EQ(parsed("example.org."), (Authority{"example.org", 0}));
    EXPECT_EQ(parsed("a:80"), (Authority{"a", 80}));
    EXPECT_EQ(parsed("a:"), (Authority{"a", 0}));
    EXPECT_EQ(parsed("192.0.2.1:65535"), (Authority{"192.0.2.1", 65535}));
    EXPECT_EQ(parsed("[2001:DB8::1]:443"), (Authority{"2001:db8::1", 443}));
    EXPECT_EQ(parsed("[::1]"), (Authority{"::1", 0}));
    EXPECT_EQ(parsed("a_b-c~d"), (Authority{"a_b-c~d", 0}));
    for (const std::string_view bad :
         {"",    ".",    ":80",  "a:0",    "a:65536",          "a:000080", "a:8 0", "a:-1", "a b", "a,b", "a/b",
          "a@b", "a%41", "[::1", "[::1]x", "[fe80::1%25eth0]", "[a]",      "[]",    "::1",  "a?b", "a#b", "a\\b"}) {
        EXPECT_FALSE(parsed(bad)) << bad;
    }
    EXPECT_FALSE(parsed(std::string_view{"[::1\0]", 6}));
    EXPECT_FALSE(parsed(std::string(300, 'a')));
}

TEST(Authority, is_the_same_when_only_the_default_port_differs)
{
    EXPECT_TRUE(same_authority({"a", 0}, {"a", 80}, "http"));
    EXPECT_FALSE(same_authority({"a", 0}, {"a", 80}, "https"));
    EXPECT_TRUE(same_authority({"a", 443}, {"a", 0}, "https"));
    EXPECT_FALSE(same_authority({"a", 0}, {"b", 0}, "http"));
}

TEST(HopByHop, fields_and_those_that_connection_names_are_removed_but_never_the_length)
{
    Fields fields = fields_of({{"Connection", "close, X-A"},
                               {"X-A", "1"},
                               {"x-b", "2"},
                               {"Keep-Alive", "5"},
                               {"Proxy-Connection", "close"},
                               {"TE", "trailers"},
                               {"Transfer-Encoding", "chunked"},
                               {"Upgrade", "h2c"},
                               {"HTTP2-Settings", "x"},
                               {"Content-Length", "3"},
                               {"connection", "X-B,Content-Length"},
                               {"Trailer", "X"},
                               {"Accept", "*/*"}});
    remove_hop_by_hop(fields);
    EXPECT_THAT(names_of(fields), ElementsAre("Content-Length", "Trailer", "Accept"));
    Fields none = fields_of({{"A", "1"}});
    remove_hop_by_hop(none);
    EXPECT_EQ(none.size(), 1U);
}

TEST(Methods, are_safe_and_idempotent_as_rfc_9110_says)
{
    for (const std::string_view method : {"GET", "HEAD", "OPTIONS", "TRACE"}) {
        EXPECT_TRUE(is_safe_method(method) && is_idempotent_method(method)) << method;
    }
    for (const std::string_view method : {"PUT", "DELETE"}) {
        EXPECT_TRUE(!is_safe_method(method) && is_idempotent_method(method)) << method;
    }
    for (const std::string_view method : {"POST", "PATCH", "get", "X"}) {
        EXPECT_FALSE(is_safe_method(method) || is_idempotent_method(method)) << method;
    }
}

} // namespace
