#include <proxy/headers.hpp>

#include <gtest/gtest.h>

namespace sluice::proxy {
namespace {

const wire::Prefix trusted_net = *wire::Prefix::parse("10.0.0.0/8");

ClientView view_from(const char* address)
{
    return {
        {*wire::IpAddress::parse(address), 40000}, *wire::Endpoint::parse("192.0.2.1:80"), false, {&trusted_net, 1}};
}

http::RequestHead request_with(std::initializer_list<http::Field> fields)
{
    http::RequestHead request;
    request.method = "GET";
    request.authority = "example.org";
    for (const http::Field& field : fields) {
        EXPECT_TRUE(request.fields.add(field.name, field.value));
    }
    return request;
}

TEST(Forwarded, untrusted_client_claims_are_replaced)
{
    auto request = request_with({{"X-Forwarded-For", "1.2.3.4"},
                                 {"x-forwarded-proto", "https"},
                                 {"X-Forwarded-Port", "1"},
                                 {"Forwarded", "for=1.2.3.4"},
                                 {"X_Forwarded-FOR", "5.6.7.8"},
                                 {"X-Other", "stays"}});
    ASSERT_TRUE(set_forwarded(request, view_from("203.0.113.9")));
    EXPECT_EQ(request.fields.find("x-forwarded-for"), "203.0.113.9");
    EXPECT_EQ(request.fields.count("x-forwarded-for"), 1U);
    EXPECT_EQ(request.fields.find("x-forwarded-proto"), "http");
    EXPECT_EQ(request.fields.find("x-forwarded-host"), "example.org");
    EXPECT_FALSE(request.fields.contains("x-forwarded-port"));
    EXPECT_FALSE(request.fields.contains("x_forwarded-for")); // The same variable to a CGI-like server
    EXPECT_FALSE(request.fields.contains("forwarded"));
    EXPECT_TRUE(request.fields.contains("x-other"));
}

TEST(Forwarded, trusted_client_is_appended_to)
{
    auto request = request_with({{"X-Forwarded-For", "1.2.3.4"},
                                 {"X-Forwarded-For", "5.6.7.8"},
                                 {"X-Forwarded-Proto", "https"},
                                 {"Forwarded", "for=1.2.3.4"}});
    ASSERT_TRUE(set_forwarded(request, view_from("10.1.1.1")));
    EXPECT_EQ(request.fields.find("x-forwarded-for"), "1.2.3.4, 5.6.7.8, 10.1.1.1");
    EXPECT_EQ(request.fields.count("x-forwarded-for"), 1U);
    EXPECT_EQ(request.fields.find("x-forwarded-proto"), "https");
    EXPECT_EQ(request.fields.find("forwarded"), "for=1.2.3.4");
}

TEST(Forwarded, trusted_client_that_says_nothing_is_described)
{
    auto request = request_with({});
    ASSERT_TRUE(set_forwarded(request, view_from("10.1.1.1")));
    EXPECT_EQ(request.fields.find("x-forwarded-for"), "10.1.1.1");
    EXPECT_EQ(request.fields.find("x-forwarded-proto"), "http");
}

TEST(HeaderRules, remove_then_set_then_add)
{
    auto request = request_with({{"A", "1"}, {"B", "1"}, {"B", "2"}, {"C", "1"}});
    HeaderRules rules;
    rules.remove = {"a"};
    rules.set = {{"b", "3"}, {"D", "1"}};
    rules.add = {{"c", "2"}};
    ASSERT_TRUE(apply_rules(request.fields, rules));
    EXPECT_FALSE(request.fields.contains("a"));
    EXPECT_EQ(request.fields.count("b"), 1U);
    EXPECT_EQ(request.fields.find("b"), "3");
    EXPECT_EQ(request.fields.count("c"), 2U);
    EXPECT_EQ(request.fields.find("d"), "1");
}

TEST(HeaderRules, set_host_replaces_authority)
{
    auto request = request_with({});
    HeaderRules rules;
    rules.set = {{"Host", "inner.example.org"}};
    ASSERT_TRUE(apply_request_rules(request, rules));
    EXPECT_EQ(request.authority, "inner.example.org");
    EXPECT_FALSE(request.fields.contains("host"));
}

TEST(PrepareRequest, hop_by_hop_fields_do_not_reach_the_server)
{
    auto request = request_with({{"Connection", "keep-alive, X-Private"},
                                 {"X-Private", "1"},
                                 {"Keep-Alive", "5"},
                                 {"TE", "trailers"},
                                 {"Upgrade", "h2c"},
                                 {"Accept", "*/*"}});
    ASSERT_TRUE(prepare_request(request, view_from("203.0.113.9"), {}));
    for (const char* name : {"connection", "x-private", "keep-alive", "te", "upgrade"}) {
        EXPECT_FALSE(request.fields.contains(name)) << name;
    }
    EXPECT_TRUE(request.fields.contains("accept"));
}

TEST(PrepareRequest, cookie_crumbs_become_one_field)
{
    auto request = request_with({{"cookie", "a=1"}, {"accept", "*/*"}, {"cookie", "b=2"}});
    request.version = http::Version::http2;
    ASSERT_TRUE(prepare_request(request, view_from("203.0.113.9"), {}));
    EXPECT_EQ(request.fields.count("cookie"), 1U);
    EXPECT_EQ(request.fields.find("cookie"), "a=1; b=2");
}

TEST(PrepareRequest, http10_without_host_gets_our_address)
{
    auto request = request_with({{"Expect", "100-continue"}});
    request.version = http::Version::http10;
    request.authority.clear();
    ASSERT_TRUE(prepare_request(request, view_from("203.0.113.9"), {}));
    EXPECT_EQ(request.authority, "192.0.2.1:80");
    EXPECT_FALSE(request.fields.contains("expect"));
}

TEST(PrepareRequest, fields_outgrow_memory_is_said)
{
    http::RequestHead request;
    request.fields = http::Fields{64};
    HeaderRules rules;
    rules.set = {{"X-Long", std::string(100, 'x')}};
    EXPECT_FALSE(prepare_request(request, view_from("203.0.113.9"), rules));
}

} // namespace
} // namespace sluice::proxy
