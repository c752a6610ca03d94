#include <sluice/health/check.hpp>

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace sluice::health {
namespace {

using namespace std::chrono_literals;

constexpr TimePoint start{1000s};

ProbeResult result_of(char letter)
{
    switch (letter) {
    case '+':
        return {.reason = Reason::answered};
    case '-':
        return {.reason = Reason::connection_refused};
    default:
        return {.reason = Reason::overload};
    }
}

/// One letter per result: + success, - failure, ? inconclusive. `expected` has the status after each: c, u or d.
struct Row {
    std::string_view description;
    std::uint16_t rise;
    std::uint16_t fall;
    std::string_view results;
    std::string_view expected;
};

class CheckTable : public testing::TestWithParam<Row> {};

TEST_P(CheckTable, results_in_order_lead_to_the_statuses)
{
    const Row& row = GetParam();
    Check check{{.interval = 2s, .timeout = 1s, .rise = row.rise, .fall = row.fall}, start};
    std::string statuses;
    for (const char letter : row.results) {
        const Status before = check.status();
        const Decision decision = check.apply(start, result_of(letter));
        EXPECT_EQ(decision.from, before);
        EXPECT_EQ(decision.to, check.status());
        EXPECT_EQ(decision.changed, before != check.status());
        statuses += text(check.status()).front();
    }
    EXPECT_EQ(statuses, row.expected) << row.description;
}

INSTANTIATE_TEST_SUITE_P(rise_and_fall, CheckTable,
                         testing::Values(Row{"the first success decides alone", 3, 3, "+", "u"},
                                         Row{"the first failure decides alone", 3, 3, "-", "d"},
                                         Row{"an inconclusive first result decides nothing", 1, 1, "??+", "ccu"},
                                         Row{"fall failures in a row take down", 2, 3, "+---", "uuud"},
                                         Row{"a success in between starts the count again", 2, 3, "+--+---", "uuuuuud"},
                                         Row{"rise successes in a row bring up", 2, 3, "-++", "ddu"},
                                         Row{"a failure in between starts the count again", 2, 3, "-+-++", "ddddu"},
                                         Row{"an inconclusive result neither counts nor resets", 2, 3, "+-?-?-",
                                             "uuuuud"},
                                         Row{"nor does it while rising", 3, 1, "-+?+?+", "dddddu"},
                                         Row{"overload for ever changes nothing", 1, 1, "+??????????", "uuuuuuuuuuu"},
                                         Row{"with one each every result decides", 1, 1, "+-+-", "udud"}));

TEST(Check, change_remembers_when_and_why)
{
    Check check{{.rise = 1, .fall = 2}, start};
    check.apply(start + 1s, {.reason = Reason::status_expected, .status = 200});
    check.apply(start + 2s, {.reason = Reason::connect_timeout});
    const Decision decision = check.apply(start + 3s, {.reason = Reason::status_unexpected, .status = 503});
    EXPECT_TRUE(decision.changed);
    EXPECT_EQ(decision.from, Status::up);
    EXPECT_EQ(decision.to, Status::down);
    EXPECT_EQ(words(decision.cause), "unexpected status 503");
    EXPECT_EQ(check.since(), start + 3s);
    EXPECT_EQ(words(check.cause()), "unexpected status 503");
}

TEST(Check, inconclusive_result_is_counted_and_shown_as_the_last)
{
    Check check{{}, start};
    check.apply(start, {.reason = Reason::answered});
    check.apply(start, {.reason = Reason::overload});
    EXPECT_EQ(check.inconclusive(), 1U);
    EXPECT_EQ(check.last().reason, Reason::overload);
    EXPECT_EQ(check.cause().reason, Reason::answered);
}

TEST(Check, reconfigured_keeps_status_and_counts)
{
    Check check{{.rise = 2, .fall = 5}, start};
    check.apply(start, {.reason = Reason::answered});
    check.apply(start, {.reason = Reason::connect_timeout});
    check.apply(start, {.reason = Reason::connect_timeout});
    check.reconfigure({.rise = 2, .fall = 3});
    EXPECT_EQ(check.status(), Status::up);
    EXPECT_EQ(check.against(), 2);
    check.apply(start, {.reason = Reason::connect_timeout});
    EXPECT_EQ(check.status(), Status::down);
}

TEST(Check, copied_to_another_worker_goes_on_where_it_was)
{
    Check check{{.rise = 2, .fall = 2}, start};
    check.apply(start, {.reason = Reason::answered});
    check.apply(start, {.reason = Reason::connect_timeout});
    Check moved = check;
    EXPECT_TRUE(moved.apply(start, {.reason = Reason::connect_timeout}).changed);
}

TEST(Describe, each_state_reads_as_a_sentence)
{
    Check check{{.rise = 2, .fall = 3}, start};
    EXPECT_EQ(describe(check, start + 200ms), "checking for 200ms");
    check.apply(start, {.reason = Reason::answered});
    EXPECT_EQ(describe(check, start + 12s), "up for 12s");
    check.apply(start, {.reason = Reason::connection_refused});
    check.apply(start, {.reason = Reason::overload});
    EXPECT_EQ(describe(check, start + 3h), "up for 3h, 1 of 3 failures: connection refused");
    check.apply(start, {.reason = Reason::connection_refused});
    check.apply(start, {.reason = Reason::status_unexpected, .status = 503});
    EXPECT_EQ(describe(check, start + 5min), "down for 5m: unexpected status 503");
    check.apply(start, {.reason = Reason::answered});
    EXPECT_EQ(describe(check, start + 72h), "down for 3d: unexpected status 503, 1 of 2 successes");
}

TEST(Reasons, own_trouble_is_inconclusive)
{
    for (const Reason reason :
         {Reason::not_yet, Reason::overload, Reason::no_resources, Reason::port_down, Reason::cancelled}) {
        EXPECT_EQ(outcome(reason), Outcome::inconclusive) << name(reason);
    }
    EXPECT_EQ(outcome(Reason::neighbour_failed), Outcome::failure);
}

} // namespace
} // namespace sluice::health
