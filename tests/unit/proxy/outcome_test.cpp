#include <sluice/proxy/access_record.hpp>
#include <sluice/proxy/outcome.hpp>

#include <gtest/gtest.h>

namespace sluice::proxy {
namespace {

AttemptState failed(Outcome outcome)
{
    return {.outcome = outcome, .idempotent = true, .body_replayable = true, .attempts = 1, .retries = 1};
}

TEST(MayRetry, connect_failed_nothing_sent_is_safe_for_any_method)
{
    AttemptState state = failed(Outcome::connect_refused);
    state.idempotent = false;
    EXPECT_TRUE(may_retry(state));
}

TEST(MayRetry, request_sent_only_idempotent_is_safe)
{
    AttemptState state = failed(Outcome::upstream_reset);
    state.sent_any = true;
    EXPECT_TRUE(may_retry(state));
    state.idempotent = false;
    EXPECT_FALSE(may_retry(state));
}

TEST(MayRetry, body_gone_is_not_safe)
{
    AttemptState state = failed(Outcome::upstream_reset);
    state.body_replayable = false;
    EXPECT_FALSE(may_retry(state));
}

TEST(MayRetry, response_began_is_not_safe)
{
    AttemptState state = failed(Outcome::upstream_malformed);
    state.response_began = true;
    EXPECT_FALSE(may_retry(state));
}

TEST(MayRetry, attempts_used_up)
{
    AttemptState state = failed(Outcome::connect_timeout);
    state.attempts = 2;
    EXPECT_FALSE(may_retry(state));
    state.retries = 0;
    state.attempts = 1;
    EXPECT_FALSE(may_retry(state));
}

TEST(MayRetry, client_or_we_failed_is_not_retried)
{
    EXPECT_FALSE(may_retry(failed(Outcome::client_left)));
    EXPECT_FALSE(may_retry(failed(Outcome::no_port)));
}

TEST(Outcome, answers_are_those_of_the_contract)
{
    EXPECT_EQ(text(Outcome::no_route).status, 404);
    EXPECT_EQ(text(Outcome::no_server).status, 503);
    EXPECT_EQ(text(Outcome::connect_refused).status, 502);
    EXPECT_EQ(text(Outcome::upstream_reset).status, 502);
    EXPECT_EQ(text(Outcome::upstream_malformed).status, 502);
    EXPECT_EQ(text(Outcome::connect_timeout).status, 504);
    EXPECT_EQ(text(Outcome::response_timeout).status, 504);
    EXPECT_EQ(text(Outcome::body_too_large).status, 413);
    EXPECT_EQ(text(Outcome::header_timeout).status, 408);
    EXPECT_EQ(text(Outcome::client_left).status, 499);
}

AccessRecord sample()
{
    AccessRecord record;
    record.start = TimePoint{std::chrono::seconds{1000}};
    record.client = *wire::Endpoint::parse("203.0.113.9:4711");
    record.local = *wire::Endpoint::parse("192.0.2.1:80");
    record.service = "site";
    record.pool = "web";
    record.server = "web2";
    record.method = "GET";
    record.host = "example.org";
    record.target = "/a?b";
    record.status = 200;
    record.upstream_status = 200;
    record.bytes_sent = 5;
    record.first_byte = std::chrono::microseconds{1500};
    return record;
}

TEST(AccessRecord, formats_as_one_line_of_json)
{
    const std::string line = format_access_json(sample(), "lb1", std::chrono::seconds{1'700'000'000});
    EXPECT_EQ(
        line,
        R"({"schema":1,"node":"lb1","time":"2023-11-14T22:30:00.000000Z","client":"203.0.113.9:4711","service":"site",)"
        R"("local":"192.0.2.1:80","protocol":"HTTP/1.1","tls":false,"method":"GET","host":"example.org","target":"/a?b",)"
        R"("status":200,"pool":"web","server":"web2","upstream_status":200,"upstream_reused":false,"received_bytes":0,)"
        R"("sent_bytes":5,"header_seconds":0.000000,"connect_seconds":0.000000,"first_byte_seconds":0.001500,)"
        R"("response_seconds":0.000000,"total_seconds":0.000000})");
}

TEST(AccessRecord, hostile_bytes_stay_valid_json)
{
    AccessRecord record = sample();
    record.user_agent = std::string_view{"a\"\\\n\x01\xff\xc3\xa9\xe2\x82", 10};
    const std::string line = format_access_json(record, "lb1", Duration{});
    EXPECT_NE(line.find(R"("user_agent":"a\"\\\u000a\u0001\ufffdé\ufffd\ufffd")"), std::string::npos) << line;
}

TEST(AccessRecord, failed_attempts_say_which_server_and_why)
{
    AccessRecord record = sample();
    record.outcome = Outcome::connect_refused;
    record.failure_count = 1;
    record.failures[0].server = "web1";
    record.failures[0].outcome = Outcome::connect_refused;
    record.failures[0].duration = std::chrono::milliseconds{2};
    const std::string line = format_access_json(record, "lb1", Duration{});
    EXPECT_NE(line.find(R"("side":"upstream","reason":"connect_refused")"), std::string::npos) << line;
    EXPECT_NE(
        line.find(R"("failed_attempts":[{"server":"web1","reason":"connect_refused","duration_seconds":0.002000}])"),
        std::string::npos);
}

TEST(AccessRecord, crosses_a_ring_as_bytes)
{
    const AccessRecord record = sample();
    const auto copy = access_record_from(as_bytes(record));
    ASSERT_TRUE(copy);
    EXPECT_EQ(format_access_json(*copy, "n", {}), format_access_json(record, "n", {}));
    EXPECT_FALSE(access_record_from(as_bytes(record).first(10)));
}

TEST(AccessRecord, long_text_is_cut)
{
    AccessRecord record = sample();
    record.target = std::string(1000, 'x');
    EXPECT_EQ(record.target.view().size(), 384U);
}

} // namespace
} // namespace sluice::proxy
