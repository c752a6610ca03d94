#include <sluice/base/random.hpp>
#include <sluice/telemetry/event.hpp>
#include <sluice/telemetry/record_ring.hpp>

#include <gtest/gtest.h>

#include <deque>
#include <string>
#include <thread>
#include <vector>

namespace sluice::telemetry {
namespace {

bool push(RecordRing& ring, const std::string& text) { return ring.push(std::as_bytes(std::span{text})); }

std::string pop(RecordRing& ring)
{
    const Bytes record = ring.front();
    std::string text{reinterpret_cast<const char*>(record.data()), record.size()};
    if (!record.empty()) {
        ring.pop();
    }
    return text;
}

TEST(RecordRing, records_leave_in_order_and_unchanged)
{
    RecordRing ring{1024};
    EXPECT_TRUE(push(ring, "first"));
    EXPECT_TRUE(push(ring, "the second one"));
    EXPECT_EQ(pop(ring), "first");
    EXPECT_EQ(pop(ring), "the second one");
    EXPECT_TRUE(ring.front().empty());
}

TEST(RecordRing, full_discards_and_counts_and_goes_on_after_a_read)
{
    RecordRing ring{1024};
    const std::string record(60, 'x'); // 64 bytes in the ring: 16 fit.
    for (int index = 0; index < 16; ++index) {
        ASSERT_TRUE(push(ring, record));
    }
    EXPECT_FALSE(push(ring, record));
    EXPECT_FALSE(push(ring, record));
    EXPECT_EQ(ring.discarded(), 2U);
    EXPECT_EQ(pop(ring), record);
    EXPECT_TRUE(push(ring, record));
    EXPECT_EQ(ring.discarded(), 2U);
}

TEST(RecordRing, record_longer_than_a_quarter_is_discarded)
{
    RecordRing ring{1024};
    EXPECT_EQ(ring.longest(), 256U);
    EXPECT_TRUE(push(ring, std::string(256, 'x')));
    EXPECT_FALSE(push(ring, std::string(257, 'x')));
    EXPECT_EQ(ring.discarded(), 1U);
}

TEST(RecordRing, empty_record_is_neither_written_nor_counted)
{
    RecordRing ring{1024};
    EXPECT_FALSE(push(ring, ""));
    EXPECT_EQ(ring.discarded(), 0U);
    EXPECT_TRUE(ring.front().empty());
}

TEST(RecordRing, reservation_may_be_committed_shorter_or_not_at_all)
{
    RecordRing ring{1024};
    ASSERT_EQ(ring.reserve(100).size(), 100U);
    EXPECT_TRUE(ring.front().empty());
    const MutableBytes room = ring.reserve(100);
    std::fill(room.begin(), room.end(), std::byte{'y'});
    ring.commit(7);
    EXPECT_EQ(pop(ring), "yyyyyyy");
}

TEST(RecordRing, random_sizes_wrap_like_a_queue)
{
    RecordRing ring{1024};
    Random random{9};
    std::deque<std::string> model;
    std::uint64_t refused = 0;
    for (int step = 0; step < 100'000; ++step) {
        if (random.below(2) == 0) {
            const std::string record(1 + random.below(256), static_cast<char>('a' + random.below(26)));
            if (push(ring, record)) {
                model.push_back(record);
            } else {
                ++refused;
            }
        } else if (model.empty()) {
            ASSERT_TRUE(ring.front().empty());
        } else {
            ASSERT_EQ(pop(ring), model.front());
            model.pop_front();
        }
    }
    EXPECT_EQ(ring.discarded(), refused);
}

TEST(RecordRing, two_threads_lose_nothing_but_what_is_counted)
{
    constexpr std::uint32_t count = 100'000;
    RecordRing ring{4096};
    std::thread writer{[&] {
        Random random{1};
        for (std::uint32_t index = 0; index < count; ++index) {
            const MutableBytes room = ring.reserve(4 + random.below(60));
            if (!room.empty()) {
                store32(room.data(), index);
                std::fill(room.begin() + 4, room.end(), static_cast<std::byte>(index));
                ring.commit(room.size());
            }
        }
        while (ring.reserve(4).empty()) {
            std::this_thread::yield();
        }
        store32(ring.reserve(4).data(), count);
        ring.commit(4);
    }};
    std::uint32_t received = 0;
    std::uint32_t expected = 0;
    for (;;) {
        const Bytes record = ring.front();
        if (record.empty()) {
            std::this_thread::yield();
            continue;
        }
        const std::uint32_t index = load32(record.data());
        if (index == count) {
            break;
        }
        ASSERT_GE(index, expected);
        for (const std::byte byte : record.subspan(4)) {
            ASSERT_EQ(byte, static_cast<std::byte>(index));
        }
        expected = index + 1;
        ++received;
        ring.pop();
    }
    writer.join();
    EXPECT_GE(received + ring.discarded(), count); // More when the last record had to wait.
    EXPECT_GT(received, 0U);
}

TEST(EventText, long_text_is_cut_at_a_character)
{
    EXPECT_EQ(EventText<4>{"abcdef"}.view(), "abcd");
    EXPECT_EQ(EventText<4>{"abc\xc3\xa4"}.view(), "abc");
    EXPECT_EQ(EventText<5>{"abc\xc3\xa4"}.view(), "abc\xc3\xa4");
    EXPECT_EQ(EventText<4>{""}.view(), "");
}

Event event_of(std::int64_t number)
{
    return {.time = TimePoint{Duration{number}},
            .kind = EventKind::health,
            .subject = "web/10.0.0.11:8080",
            .from = "up",
            .to = "down",
            .reason = "unexpected status 503"};
}

TEST(EventRing, event_arrives_as_it_was)
{
    EventRing ring{4};
    ASSERT_TRUE(ring.push(event_of(7)));
    const auto event = ring.pop();
    ASSERT_TRUE(event);
    EXPECT_EQ(event->time, TimePoint{Duration{7}});
    EXPECT_EQ(text(event->kind), "health");
    EXPECT_EQ(event->subject.view(), "web/10.0.0.11:8080");
    EXPECT_EQ(event->from.view(), "up");
    EXPECT_EQ(event->to.view(), "down");
    EXPECT_EQ(event->reason.view(), "unexpected status 503");
    EXPECT_FALSE(ring.pop());
}

TEST(EventRing, full_keeps_the_old_and_counts_the_new)
{
    EventRing ring{4};
    for (std::int64_t number = 0; number < 6; ++number) {
        EXPECT_EQ(ring.push(event_of(number)), number < 4);
    }
    EXPECT_EQ(ring.discarded(), 2U);
    for (std::int64_t number = 0; number < 4; ++number) {
        EXPECT_EQ(ring.pop()->time, TimePoint{Duration{number}});
    }
    EXPECT_FALSE(ring.pop());
}

TEST(EventRing, two_threads_see_the_same_order)
{
    constexpr std::int64_t count = 50'000;
    EventRing ring{64};
    std::thread writer{[&] {
        for (std::int64_t number = 0; number < count; ++number) {
            while (!ring.push(event_of(number))) {
                std::this_thread::yield();
            }
        }
    }};
    for (std::int64_t number = 0; number < count;) {
        if (const auto event = ring.pop()) {
            ASSERT_EQ(event->time, TimePoint{Duration{number}});
            ++number;
        } else {
            std::this_thread::yield();
        }
    }
    writer.join();
    EXPECT_FALSE(ring.pop());
}

} // namespace
} // namespace sluice::telemetry
