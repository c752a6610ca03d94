// What a tap keeps of frames, and why.
#include "frames.hpp"

#include "port/pcapng_blocks.hpp"

#include <sluice/packet/heap_pool.hpp>
#include <sluice/port/tap.hpp>

#include <cstdio>
#include <fstream>
#include <gtest/gtest.h>
#include <pcap/pcap.h>

namespace sluice::port {
namespace {

using telemetry::CoreCounters;
using telemetry::DropReason;

FrameFilter compiled(const char* expression)
{
    pcap_t* ethernet = pcap_open_dead(DLT_EN10MB, 65535);
    bpf_program program{};
    EXPECT_EQ(pcap_compile(ethernet, &program, expression, 1, PCAP_NETMASK_UNKNOWN), 0);
    std::vector<std::uint32_t> words;
    for (unsigned index = 0; index < program.bf_len; ++index) {
        const bpf_insn& one = program.bf_insns[index];
        words.insert(words.end(), {one.code, one.jt, one.jf, one.k});
    }
    pcap_freecode(&program);
    pcap_close(ethernet);
    const auto filter = FrameFilter::make(words);
    EXPECT_TRUE(filter) << expression;
    return filter.value_or(FrameFilter{});
}

struct TapTest : testing::Test {
    packet::HeapPool pool{64};
    CoreCounters counters;

    std::shared_ptr<FrameTap> tap(const TapOptions& options)
    {
        auto made = std::make_shared<FrameTap>(options);
        made->start_turn(TimePoint{Duration{5}}, counters);
        return made;
    }
    static TapReader reader(const std::shared_ptr<FrameTap>& of) { return TapReader{{of}, {"front"}, 256, Duration{}}; }
    packet::Burst burst(std::initializer_list<std::size_t> sizes)
    {
        packet::Burst frames;
        std::uint32_t number = 0;
        for (const std::size_t size : sizes) {
            frames.push(numbered(pool, number++, size));
        }
        return frames;
    }
    static std::string all(TapReader& from)
    {
        std::vector<std::byte> bytes;
        from.read(bytes, ~std::size_t{0}, ~std::uint64_t{0});
        return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
    }
};

TEST_F(TapTest, both_directions_are_kept_and_cut)
{
    TapOptions options;
    options.snap = 64;
    const auto one = tap(options);
    auto frames = burst({60, 1000});
    one->received(0, frames);
    one->sending(0, frames, 1);
    TapReader out = reader(one);
    std::vector<std::byte> bytes;
    EXPECT_EQ(out.read(bytes, ~std::size_t{0}, ~std::uint64_t{0}), 3U);
    EXPECT_LT(bytes.size(), 3U * 140 + 200);
    EXPECT_EQ(frames.size(), 2U);
}

TEST_F(TapTest, read_stops_at_the_count_and_goes_on)
{
    const auto one = tap({});
    auto frames = burst({60, 61, 62});
    one->received(0, frames);
    TapReader out = reader(one);
    std::vector<std::byte> bytes;
    EXPECT_EQ(out.read(bytes, ~std::size_t{0}, 2), 2U);
    EXPECT_EQ(out.read(bytes, ~std::size_t{0}, 0), 0U);
    EXPECT_EQ(out.read(bytes, ~std::size_t{0}, 2), 1U);
}

TEST_F(TapTest, full_ring_discards_and_counts)
{
    TapOptions options;
    options.ring = 4096;
    const auto one = tap(options);
    for (int round = 0; round < 100; ++round) {
        auto frames = burst({200});
        one->received(0, frames);
    }
    TapReader out = reader(one);
    std::vector<std::byte> bytes;
    const std::size_t kept = out.read(bytes, ~std::size_t{0}, ~std::uint64_t{0});
    EXPECT_GT(kept, 5U);
    EXPECT_EQ(kept + out.discarded(), 100U);
}

TEST_F(TapTest, drop_is_shown_with_its_reason_and_nothing_else_is)
{
    TapOptions options;
    options.dropped = true;
    const auto one = tap(options);
    auto frames = burst({60, 61});
    for (packet::Packet& frame : frames) {
        one->keep(0, std::as_const(frame).bytes(), counters);
        if (frame.size() == 61) {
            counters.drop(DropReason::no_service);
        }
        one->judge(counters);
    }
    one->sending(0, frames, 0);
    TapReader out = reader(one);
    const std::string text = all(out);
    EXPECT_NE(text.find("no_service: "), std::string::npos);
    EXPECT_EQ(text.find("no_service: "), text.rfind("no_service: "));
    EXPECT_EQ(out.unseen_drops(), 0U);
}

TEST_F(TapTest, frame_that_causes_the_drop_of_another_is_not_shown_for_it)
{
    TapOptions options;
    options.dropped = true;
    const auto one = tap(options);
    auto frames = burst({60, 61});
    one->keep(0, std::as_const(frames[0]).bytes(), counters);
    counters.drop(DropReason::transmit_full);
    one->dropped(0, std::as_const(frames[1]).bytes(), DropReason::transmit_full);
    one->judge(counters);
    TapReader out = reader(one);
    std::vector<std::byte> bytes;
    EXPECT_EQ(out.read(bytes, ~std::size_t{0}, ~std::uint64_t{0}), 1U);
}

TEST_F(TapTest, drop_without_a_frame_is_counted)
{
    TapOptions options;
    options.dropped = true;
    counters.drop(DropReason::no_service); // Before the capture: not its business
    const auto one = tap(options);
    counters.drop(DropReason::neighbour_failed);
    one->start_turn(TimePoint{}, counters);
    EXPECT_EQ(reader(one).unseen_drops(), 1U);
}

TEST_F(TapTest, filter_is_that_of_libpcap)
{
    TapOptions options;
    options.filter = compiled("greater 100");
    const auto one = tap(options);
    auto frames = burst({60, 100, 200});
    one->received(0, frames);
    TapReader out = reader(one);
    std::vector<std::byte> bytes;
    EXPECT_EQ(out.read(bytes, ~std::size_t{0}, ~std::uint64_t{0}), 2U);
}

TEST_F(TapTest, frames_of_two_cores_come_in_the_order_of_time)
{
    const auto one = tap({});
    const auto other = tap({});
    for (int round = 0; round < 3; ++round) {
        auto frames = burst({60});
        one->start_turn(TimePoint{Duration{10 * round}}, counters);
        other->start_turn(TimePoint{Duration{10 * round + 5}}, counters);
        other->received(0, frames);
        one->received(0, frames);
    }
    TapReader out{{other, one}, {"front"}, 256, Duration{}};
    std::vector<std::byte> bytes;
    out.read(bytes, 0, 0); // The header
    std::uint32_t last = 0;
    for (std::size_t index = 0; index < 6; ++index) {
        bytes.clear();
        ASSERT_EQ(out.read(bytes, ~std::size_t{0}, 1), 1U);
        std::uint32_t time = 0;
        std::memcpy(&time, bytes.data() + 16, sizeof time);
        EXPECT_GE(time, last);
        last = time;
    }
    EXPECT_EQ(last, 25U);
}

TEST(FrameFilter, program_that_could_run_on_or_away_is_refused)
{
    EXPECT_TRUE(FrameFilter::make(std::vector<std::uint32_t>{}));
    const std::vector<std::uint32_t> returns{0x06, 0, 0, 65535};
    EXPECT_TRUE(FrameFilter::make(returns));
    EXPECT_FALSE(FrameFilter::make(std::vector<std::uint32_t>{0x06, 0, 0})) << "no whole instruction";
    EXPECT_FALSE(FrameFilter::make(std::vector<std::uint32_t>{0x00, 0, 0, 1})) << "no return";
    EXPECT_FALSE(FrameFilter::make(std::vector<std::uint32_t>{0x05, 0, 0, 7, 0x06, 0, 0, 0})) << "jumps out";
    EXPECT_FALSE(FrameFilter::make(std::vector<std::uint32_t>{0x05, 0, 0, 0xffffffff, 0x06, 0, 0, 0})) << "backwards";
    EXPECT_FALSE(FrameFilter::make(std::vector<std::uint32_t>{0x34, 0, 0, 0, 0x06, 0, 0, 0})) << "divides by zero";
    EXPECT_FALSE(FrameFilter::make(std::vector<std::uint32_t>{0x10006, 0, 0, 0})) << "a code of more than 16 bits";
    std::vector<std::uint32_t> program;
    for (std::size_t index = 0; index < FrameFilter::longest; ++index) {
        program.insert(program.end(), returns.begin(), returns.end());
    }
    EXPECT_TRUE(FrameFilter::make(program));
    program.insert(program.end(), returns.begin(), returns.end());
    EXPECT_FALSE(FrameFilter::make(program)) << "too long";
}

} // namespace
} // namespace sluice::port
