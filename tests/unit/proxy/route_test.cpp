#include <proxy/route.hpp>

#include <gtest/gtest.h>

namespace sluice::proxy {
namespace {

http::RequestHead request_for(std::string host, std::string path, std::uint16_t port = 0)
{
    http::RequestHead head;
    head.authority = host;
    head.host = std::move(host);
    head.path = std::move(path);
    head.port = port;
    return head;
}

Route route_to(std::vector<HostMatch> hosts, PathMatch path)
{
    Route route;
    route.hosts = std::move(hosts);
    route.path = std::move(path);
    route.action = Respond{};
    return route;
}

TEST(HostMatch, exact_other_host_does_not_match)
{
    const HostMatch match{HostMatch::Kind::exact, "example.org"};
    EXPECT_TRUE(matches(match, "example.org"));
    EXPECT_FALSE(matches(match, "www.example.org"));
    EXPECT_FALSE(matches(match, "example.or"));
}

TEST(HostMatch, wildcard_matches_below_not_itself)
{
    const HostMatch match{HostMatch::Kind::wildcard, ".example.org"};
    EXPECT_TRUE(matches(match, "www.example.org"));
    EXPECT_TRUE(matches(match, "a.b.example.org"));
    EXPECT_FALSE(matches(match, "example.org"));
    EXPECT_FALSE(matches(match, ".example.org"));
    EXPECT_FALSE(matches(match, "badexample.org"));
}

TEST(PathMatch, prefix_ends_at_segment_boundary)
{
    const PathMatch match{PathMatch::Kind::prefix, "/v1"};
    EXPECT_TRUE(matches(match, "/v1"));
    EXPECT_TRUE(matches(match, "/v1/users"));
    EXPECT_FALSE(matches(match, "/v10"));
    EXPECT_FALSE(matches(match, "/"));
}

TEST(PathMatch, prefix_with_slash_matches_what_follows)
{
    const PathMatch match{PathMatch::Kind::prefix, "/v1/"};
    EXPECT_TRUE(matches(match, "/v1/users"));
    EXPECT_TRUE(matches(match, "/v1/"));
    EXPECT_FALSE(matches(match, "/v1"));
}

TEST(PathMatch, exact_matches_nothing_longer)
{
    const PathMatch match{PathMatch::Kind::exact, "/login"};
    EXPECT_TRUE(matches(match, "/login"));
    EXPECT_FALSE(matches(match, "/login/"));
}

TEST(FindRoute, several_match_first_wins)
{
    const std::vector<Route> routes{
        route_to({{HostMatch::Kind::exact, "a.org"}}, {PathMatch::Kind::prefix, "/x"}),
        route_to({{HostMatch::Kind::exact, "b.org"}, {HostMatch::Kind::wildcard, ".a.org"}}, {}), route_to({}, {})};
    EXPECT_EQ(find_route(routes, request_for("a.org", "/x/1")), &routes[0]);
    EXPECT_EQ(find_route(routes, request_for("a.org", "/y")), &routes[2]);
    EXPECT_EQ(find_route(routes, request_for("b.org", "/")), &routes[1]);
    EXPECT_EQ(find_route(routes, request_for("w.a.org", "/x")), &routes[1]);
    EXPECT_EQ(find_route(std::span{routes}.first(2), request_for("c.org", "/")), nullptr);
}

TEST(RedirectLocation, scheme_changes_port_of_request_is_dropped)
{
    http::RequestHead request = request_for("example.org", "/a b", 8080);
    request.path = "/a";
    request.query = "q=1";
    request.has_query = true;
    Redirect redirect;
    redirect.scheme = "https";
    EXPECT_EQ(redirect_location(redirect, request, false), "https://example.org/a?q=1");
}

TEST(RedirectLocation, nothing_changes_port_is_kept)
{
    EXPECT_EQ(redirect_location({}, request_for("example.org", "/", 8080), false), "http://example.org:8080/");
    EXPECT_EQ(redirect_location({}, request_for("example.org", "/", 80), false), "http://example.org/");
}

TEST(RedirectLocation, host_path_and_port_replaced)
{
    Redirect redirect;
    redirect.host = "new.example.org";
    redirect.path = "/moved?x";
    redirect.port = 8443;
    EXPECT_EQ(redirect_location(redirect, request_for("old.org", "/gone", 1234), true),
              "https://new.example.org:8443/moved?x");
}

TEST(RedirectLocation, ipv6_literal_keeps_brackets)
{
    EXPECT_EQ(redirect_location({}, request_for("2001:db8::1", "/"), false), "http://[2001:db8::1]/");
}

} // namespace
} // namespace sluice::proxy
