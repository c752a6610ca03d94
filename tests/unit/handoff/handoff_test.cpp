#include <sluice/handoff/mesh.hpp>
#include <sluice/handoff/publication.hpp>
#include <sluice/packet/heap_pool.hpp>

#include <gtest/gtest.h>
#include <poll.h>

#include <thread>

namespace sluice::handoff {
namespace {

TEST(Ring, refuses_when_full_and_leaves_the_item_alone)
{
    Ring<std::unique_ptr<int>> ring{2};
    EXPECT_TRUE(ring.push(std::make_unique<int>(1)));
    EXPECT_TRUE(ring.push(std::make_unique<int>(2)));
    auto third = std::make_unique<int>(3);
    EXPECT_FALSE(ring.push(std::move(third)));
    ASSERT_TRUE(third); // NOLINT(bugprone-use-after-move): a refused item stays
    std::unique_ptr<int> out;
    ASSERT_TRUE(ring.pop(out));
    EXPECT_EQ(*out, 1);
    EXPECT_TRUE(ring.push(std::move(third)));
    ASSERT_TRUE(ring.pop(out));
    EXPECT_EQ(*out, 2);
    ASSERT_TRUE(ring.pop(out));
    EXPECT_EQ(*out, 3);
    EXPECT_FALSE(ring.pop(out));
}

TEST(Ring, two_threads_see_every_item_once_in_order)
{
    Ring<std::unique_ptr<int>> ring{64};
    constexpr int count = 20000;
    std::thread producer{[&ring] {
        for (int value = 0; value < count; ++value) {
            auto item = std::make_unique<int>(value);
            while (!ring.push(std::move(item))) {
                std::this_thread::yield();
            }
        }
    }};
    int expected = 0;
    while (expected < count) {
        std::unique_ptr<int> out;
        if (ring.pop(out)) {
            ASSERT_EQ(*out, expected++);
        } else {
            std::this_thread::yield();
        }
    }
    producer.join();
    EXPECT_TRUE(ring.empty());
}

bool readable(int descriptor, int milliseconds)
{
    pollfd entry{descriptor, POLLIN, 0};
    return poll(&entry, 1, milliseconds) == 1;
}

TEST(Wakeup, wake_reaches_an_armed_sleeper_only)
{
    Wakeup wakeup;
    wakeup.wake();
    EXPECT_FALSE(readable(wakeup.descriptor(), 0)) << "nobody sleeps: no system call";
    wakeup.arm();
    wakeup.wake();
    EXPECT_TRUE(readable(wakeup.descriptor(), 0));
    wakeup.disarm();
    EXPECT_FALSE(readable(wakeup.descriptor(), 0));
}

TEST(Mesh, a_sleeper_that_looks_again_after_arming_misses_no_message)
{
    Mesh mesh{2, 8};
    packet::HeapPool pool{8};
    constexpr int count = 3000;
    std::thread sender{[&] {
        for (int sent = 0; sent < count;) {
            Message message;
            message.parsed.source_port = static_cast<std::uint16_t>(sent);
            if (mesh.send(0, 1, std::move(message))) {
                ++sent;
            }
            mesh.flush(0);
        }
    }};
    int received = 0;
    Message message;
    while (received < count) {
        while (mesh.receive(0, 1, message)) {
            ASSERT_EQ(message.parsed.source_port, static_cast<std::uint16_t>(received++));
        }
        if (received == count) {
            break;
        }
        mesh.wakeup(1).arm();
        if (!mesh.pending(1)) {
            ASSERT_TRUE(readable(mesh.wakeup(1).descriptor(), 5000)) << "lost wake-up after " << received;
        }
        mesh.wakeup(1).disarm();
    }
    sender.join();
}

struct Counted {
    explicit Counted(std::atomic<int>& alive, int number) : alive_{alive}, value{number} { ++alive_; }
    ~Counted()
    {
        value = -1;
        --alive_;
    }
    std::atomic<int>& alive_;
    int value;
};

TEST(Publication, old_value_lives_until_every_core_passed_a_quiet_point)
{
    std::atomic<int> alive{0};
    Publication<Counted> publication;
    EXPECT_EQ(publication.quiet_point(0), nullptr);
    publication.publish(std::make_unique<Counted>(alive, 1));
    const Counted* seen = publication.quiet_point(0);
    ASSERT_TRUE(publication.quiet_point(1));
    EXPECT_TRUE(publication.retire(2));
    publication.publish(std::make_unique<Counted>(alive, 2));
    EXPECT_EQ(publication.quiet_point(1)->value, 2);
    EXPECT_FALSE(publication.retire(2)) << "core 0 may still read the first value";
    EXPECT_EQ(seen->value, 1);
    EXPECT_EQ(alive, 2);
    EXPECT_EQ(publication.quiet_point(0)->value, 2);
    EXPECT_TRUE(publication.retire(2));
    EXPECT_EQ(alive, 1);
}

TEST(Publication, readers_on_other_threads_never_see_a_freed_value)
{
    std::atomic<int> alive{0};
    std::atomic<bool> stop{false};
    Publication<Counted> publication;
    publication.publish(std::make_unique<Counted>(alive, 0));
    std::vector<std::thread> readers;
    for (std::size_t core = 0; core < 2; ++core) {
        readers.emplace_back([&, core] {
            int last = 0;
            while (!stop.load(std::memory_order_relaxed)) {
                const Counted* value = publication.quiet_point(core);
                ASSERT_GE(value->value, last);
                last = value->value;
            }
        });
    }
    for (int number = 1; number <= 500; ++number) {
        while (!publication.retire(2)) {
            std::this_thread::yield();
        }
        publication.publish(std::make_unique<Counted>(alive, number));
        ASSERT_LE(alive.load(), 2) << "at most two live generations";
    }
    stop = true;
    for (std::thread& reader : readers) {
        reader.join();
    }
}

} // namespace
} // namespace sluice::handoff
