#include <sluice/base/diagnostic.hpp>
#include <sluice/base/random.hpp>
#include <sluice/base/siphash.hpp>
#include <sluice/base/time.hpp>

#include <gtest/gtest.h>

#include <ctime>

namespace sluice {
namespace {

TEST(SipHash, words_and_bytes_agree)
{
    const HashKey key{0x0706050403020100ULL, 0x0f0e0d0c0b0a0908ULL};
    const std::uint64_t words[] = {1, 0xfedcba9876543210ULL, 42};
    EXPECT_EQ(siphash13(key, std::as_bytes(std::span{words})), siphash13_words(key, words[0], words[1], words[2]));
    EXPECT_NE(siphash13_words(key, 1), siphash13_words(HashKey{key.first, key.second + 1}, 1));
}

TEST(Random, is_even_and_repeats_from_its_seed)
{
    Random first{1};
    Random again{1};
    int counts[10] = {};
    for (int draw = 0; draw < 100000; ++draw) {
        const std::uint64_t value = first.below(10);
        ASSERT_EQ(value, again.below(10));
        ++counts[value];
    }
    for (const int count : counts) {
        EXPECT_NEAR(count, 10000, 500);
    }
}

TEST(SystemClock, follows_the_monotonic_clock)
{
    const SystemClock clock;
    TimePoint last = clock.now();
    for (int round = 0; round < 1000; ++round) {
        const TimePoint now = clock.now();
        ASSERT_GE(now, last);
        last = now;
    }
    timespec value{};
    clock_gettime(CLOCK_MONOTONIC, &value);
    const Duration kernel = std::chrono::seconds{value.tv_sec} + Duration{value.tv_nsec};
    EXPECT_LT(std::chrono::abs(kernel - clock.now().time_since_epoch()), std::chrono::milliseconds{5});
}

TEST(Diagnostic, looks_like_a_compilers)
{
    const Diagnostic diagnostic{
        Severity::error, {"a.yaml", 3, 5}, "unknown key `virid`", "did you mean `vrid`?", "    virid: 51"};
    EXPECT_EQ(format(diagnostic), "a.yaml:3:5: error: unknown key `virid`\n"
                                  "        virid: 51\n"
                                  "        ^\n"
                                  "    hint: did you mean `vrid`?\n");
}

TEST(Diagnostic, caret_stands_under_its_character_whatever_is_before_it)
{
    struct {
        const char* before;
        const char* below;
    } const table[] = {
        {"", ""},
        {"ab", "  "},
        {"\tb\t", "\t \t"},
        {"f\u00e4r\u00f6", "    "}, // two bytes each
        {"\u20ac\u65e5", "  "},     // three
        {"\U0001f600\t", " \t"},    // four
        {"\xff\xfe", "  "},         // no UTF-8 at all
    };
    for (const auto& row : table) {
        const std::string before = row.before;
        const auto column = static_cast<std::uint32_t>(before.size() + 1);
        const Diagnostic diagnostic{Severity::error, {"a", 1, column}, "x", "", before + "HERE"};
        EXPECT_EQ(format(diagnostic),
                  "a:1:" + std::to_string(column) + ": error: x\n    " + before + "HERE\n    " + row.below + "^\n");
    }
}

} // namespace
} // namespace sluice
