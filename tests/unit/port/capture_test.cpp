#include "frames.hpp"

#include <sluice/packet/heap_pool.hpp>
#include <sluice/port/capture.hpp>
#include <sluice/port/memory_port.hpp>
#include <sluice/port/pcap_port.hpp>

#include <array>
#include <cstdio>
#include <fstream>
#include <gtest/gtest.h>
#include <set>

namespace sluice::port {
namespace {

using namespace std::chrono_literals;

CaptureOptions into(const TemporaryFile& file)
{
    CaptureOptions options;
    options.file = file.path();
    options.writer_thread = false;
    options.wall_clock = false;
    return options;
}

std::unique_ptr<Capture> open(Port& inner, const Clock& clock, const CaptureOptions& options)
{
    auto opened = Capture::open(inner, clock, options);
    return opened ? std::move(*opened) : nullptr;
}

// One frame out at 1000 s and one in 5 ms later.
void capture_two_frames(const TemporaryFile& file)
{
    packet::HeapPool pool{8};
    FakeClock clock;
    MemoryLink link{{.name = "front"}, {.name = "peer"}};
    const auto capture = open(link.first(), clock, into(file));
    ASSERT_TRUE(capture);
    packet::Burst burst;
    burst.push(numbered(pool, 17, 60));
    EXPECT_EQ(capture->transmit(0, burst), 1U);
    clock.advance(5ms);
    packet::Burst back;
    back.push(numbered(pool, 18, 101));
    link.second().transmit(0, back);
    EXPECT_EQ(capture->receive(0, burst), 1U);
    EXPECT_EQ(capture->receive(0, burst), 0U);
    capture->drain();
    EXPECT_EQ(capture->written(), 2U);
    EXPECT_EQ(capture->discarded(), 0U);
}

TEST(Capture, file_of_two_frames_is_read_by_tshark)
{
    if (std::system("tshark --version >/dev/null 2>&1") != 0) {
        GTEST_SKIP() << "tshark is not installed";
    }
    const TemporaryFile file{"tshark.pcapng"};
    capture_two_frames(file);
    const std::string command = "tshark -n -r " + file.path() +
                                " -T fields -e frame.time_epoch -e frame.len -e frame.interface_name"
                                " -e frame.packet_flags_direction -e eth.type 2>/dev/null";
    std::FILE* const pipe = ::popen(command.c_str(), "r");
    ASSERT_NE(pipe, nullptr);
    std::string text(4096, '\0');
    text.resize(std::fread(text.data(), 1, text.size(), pipe));
    EXPECT_EQ(::pclose(pipe), 0);
    const std::string inbound = "1000.005000000\t101\tfront\t0x00000001\t0x88b5\n";
    const std::string outbound = "1000.000000000\t60\tfront\t0x00000002\t0x88b5\n";
    EXPECT_TRUE(text == inbound + outbound || text == outbound + inbound) << text;
}

TEST(Capture, captured_file_replays_the_same_frames)
{
    const TemporaryFile file{"replay.pcapng"};
    capture_two_frames(file);
    auto replay = PcapReplayPort::open({.name = "replay", .file = file.path(), .index = 4, .rounds = 2});
    ASSERT_TRUE(replay.has_value()) << replay.error().message;
    packet::Burst burst;
    EXPECT_FALSE((*replay)->finished());
    EXPECT_EQ((*replay)->receive(0, burst), 4U);
    EXPECT_TRUE((*replay)->finished());
    std::multiset<std::pair<std::uint32_t, std::size_t>> frames;
    for (const packet::Packet& frame : burst) {
        frames.emplace(number_of(frame), frame.size());
        EXPECT_EQ(frame.port(), 4);
        EXPECT_EQ(frame.headroom(), packet::default_headroom);
    }
    EXPECT_EQ(frames, (std::multiset<std::pair<std::uint32_t, std::size_t>>{{17, 60}, {17, 60}, {18, 101}, {18, 101}}));
    burst.clear();
    EXPECT_EQ((*replay)->receive(0, burst), 0U);
}

TEST(Capture, full_ring_discards_and_counts_but_traffic_passes)
{
    const TemporaryFile file{"full.pcapng"};
    packet::HeapPool pool{64};
    const FakeClock clock;
    MemoryLink link{{.name = "front"}, {.name = "peer"}};
    CaptureOptions options = into(file);
    options.buffers = 16;
    const auto capture = open(link.first(), clock, options);
    ASSERT_TRUE(capture);
    packet::Burst burst;
    for (std::uint32_t number = 0; number < 50; ++number) {
        burst.push(numbered(pool, number));
    }
    EXPECT_EQ(capture->transmit(0, burst), 50U);
    EXPECT_EQ(capture->discarded(), 34U);
    capture->drain();
    EXPECT_EQ(capture->written(), 16U);
    packet::Burst got;
    EXPECT_EQ(link.second().receive(0, got), 50U);
}

TEST(Capture, refused_frame_is_captured_only_when_it_is_taken)
{
    const TemporaryFile file{"refused.pcapng"};
    packet::HeapPool pool{64};
    const FakeClock clock;
    MemoryLink link{{.name = "front"}, {.name = "peer", .queue_size = 4, .when_full = WhenFull::hold}};
    const auto capture = open(link.first(), clock, into(file));
    ASSERT_TRUE(capture);
    packet::Burst burst;
    for (std::uint32_t number = 0; number < 6; ++number) {
        burst.push(numbered(pool, number));
    }
    EXPECT_EQ(capture->transmit(0, burst), 4U);
    EXPECT_EQ(capture->transmit(0, burst), 0U);
    packet::Burst got;
    link.second().receive(0, got);
    EXPECT_EQ(capture->transmit(0, burst), 2U);
    capture->drain();
    EXPECT_EQ(capture->written(), 6U);
    EXPECT_EQ(capture->discarded(), 0U);
}

TEST(Capture, writer_thread_writes_everything_before_the_end)
{
    const TemporaryFile file{"thread.pcapng"};
    packet::HeapPool pool{64};
    const SystemClock clock;
    MemoryLink link{{.name = "front"}, {.name = "peer"}};
    {
        CaptureOptions options;
        options.file = file.path();
        const auto capture = open(link.first(), clock, options);
        ASSERT_TRUE(capture);
        for (std::uint32_t number = 0; number < 500; ++number) {
            packet::Burst burst;
            burst.push(numbered(pool, number));
            capture->transmit(0, burst);
            packet::Burst got;
            link.second().receive(0, got);
        }
        EXPECT_EQ(capture->discarded(), 0U);
    }
    auto replay = PcapReplayPort::open({.name = "replay", .file = file.path()});
    ASSERT_TRUE(replay.has_value());
    std::uint32_t next = 0;
    packet::Burst burst;
    while ((*replay)->receive(0, burst) > 0) {
        for (const packet::Packet& frame : burst) {
            EXPECT_EQ(number_of(frame), next++);
        }
        burst.clear();
    }
    EXPECT_EQ(next, 500U);
}

TEST(Capture, unwritable_file_is_an_error_that_names_it)
{
    const FakeClock clock;
    MemoryLink link{{.name = "front"}, {.name = "peer"}};
    CaptureOptions options;
    options.file = "/nonexistent/folder/capture.pcapng";
    const auto opened = Capture::open(link.first(), clock, options);
    ASSERT_FALSE(opened.has_value());
    EXPECT_NE(opened.error().message.find(options.file), std::string::npos);
}

TEST(PcapReplayPort, file_that_is_no_capture_is_an_error)
{
    const TemporaryFile file{"garbage.pcap"};
    std::ofstream{file.path()} << "this is not a capture file";
    EXPECT_FALSE(PcapReplayPort::open({.name = "replay", .file = file.path()}).has_value());
    EXPECT_FALSE(PcapReplayPort::open({.name = "replay", .file = file.path() + ".missing"}).has_value());
}

TEST(PcapReplayPort, empty_pool_is_counted_and_playing_goes_on_when_buffers_are_back)
{
    const TemporaryFile file{"starve.pcapng"};
    capture_two_frames(file);
    auto replay = PcapReplayPort::open({.name = "replay", .file = file.path(), .rounds = 3, .buffers = 4});
    ASSERT_TRUE(replay.has_value());
    packet::Burst burst;
    EXPECT_EQ((*replay)->receive(0, burst), 4U);
    EXPECT_EQ((*replay)->statistics().receive_starved, 1U);
    burst.clear();
    EXPECT_EQ((*replay)->receive(0, burst), 2U);
    EXPECT_TRUE((*replay)->finished());
}

} // namespace
} // namespace sluice::port
