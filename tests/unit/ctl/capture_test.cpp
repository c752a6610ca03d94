#include <ctl/capture.hpp>

#include <gmock/gmock.h>

namespace sluice::ctl {
namespace {

using testing::HasSubstr;

TEST(CompileFilter, Nothing_IsNoProgram) { EXPECT_TRUE(compile_filter("")->empty()); }

TEST(CompileFilter, Expression_IsFourNumbersAnInstruction)
{
    for (const char* expression :
         {"arp", "tcp port 80 and host 192.0.2.1", "not (udp or icmp)", "vrrp", "ip6 net 2001:db8::/32"}) {
        const auto program = compile_filter(expression);
        ASSERT_TRUE(program) << expression;
        EXPECT_FALSE(program->empty());
        EXPECT_EQ(program->size() % 4, 0U);
    }
}

TEST(CompileFilter, Nonsense_SaysWhatIsWrong)
{
    EXPECT_THAT(compile_filter("no such words").error(), HasSubstr("--filter: "));
}

TEST(CompileFilter, WhatTheNodeWouldNotTake_IsRefusedHere)
{
    std::string long_one = "host 192.0.2.0";
    for (int number = 1; number < 250; ++number) {
        long_one +=
            " or ether host 02:00:00:00:00:" + std::to_string(number % 90 + 10) + " or port " + std::to_string(number);
    }
    EXPECT_THAT(compile_filter(long_one).error(), HasSubstr("512"));
}

} // namespace
} // namespace sluice::ctl
