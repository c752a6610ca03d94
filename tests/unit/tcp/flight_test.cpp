// The records of what is in flight, against a model that keeps the same in a plain list.
#include "tcp/flight.hpp"

#include <sluice/base/random.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <vector>

namespace sluice::tcp {
namespace {

struct FlightTest : ::testing::Test {
    BufferPool pool{1U << 20U};
    Flight flight;

    ~FlightTest() override { flight.release(pool); }

    /// Segments of `size` from 1000 on, sent at 0, 1, 2, ...
    void fill(std::uint16_t count, std::uint16_t size = 100)
    {
        for (std::uint16_t index = 0; index < count; ++index) {
            ASSERT_TRUE(flight.reserve(pool));
            flight.push(Sequence{1000U + std::uint32_t{index} * size}, size, index);
        }
    }
    static SequenceRange segments(std::uint32_t from, std::uint32_t to)
    {
        return {Sequence{1000U + from * 100}, Sequence{1000U + to * 100}};
    }
    std::uint32_t sack(std::uint32_t from, std::uint32_t to)
    {
        return flight.sack(segments(from, to), [](const SentSegment&) {});
    }
    std::uint32_t acknowledge(std::uint32_t segments)
    {
        return flight.acknowledge(Sequence{1000U + segments * 100}, [](const SentSegment&) {});
    }
    [[nodiscard]] std::vector<std::uint32_t> in_order_of_transmission()
    {
        std::vector<std::uint32_t> order;
        flight.each_on_its_way([&](Flight::Position, const SentSegment& record) {
            order.push_back((record.begin.value() - 1000U) / 100U);
            return true;
        });
        return order;
    }
};

TEST_F(FlightTest, single_segment_takes_no_memory_and_more_give_theirs_back)
{
    fill(1);
    EXPECT_EQ(pool.used(), 0U);
    acknowledge(1);
    EXPECT_TRUE(flight.empty());
    fill(100);
    EXPECT_EQ(pool.used(), 2048U);
    flight.release(pool);
    EXPECT_EQ(pool.used(), 0U);
}

TEST(Flight, without_memory_takes_one_segment_and_refuses_the_next)
{
    BufferPool none{0};
    Flight flight;
    ASSERT_TRUE(flight.reserve(none));
    flight.push(Sequence{1}, 100, 0);
    EXPECT_FALSE(flight.reserve(none));
    EXPECT_EQ(flight.acknowledge(Sequence{101}, [](const SentSegment&) {}), 100U);
    EXPECT_TRUE(flight.reserve(none));
}

TEST(Flight, grows_to_its_limit_and_no_further)
{
    BufferPool pool{4U << 20U};
    Flight flight;
    std::uint32_t count = 0;
    while (flight.reserve(pool)) {
        flight.push(Sequence{count}, 1, count);
        ++count;
    }
    EXPECT_EQ(count, Flight::capacity_maximum);
    flight.release(pool);
    EXPECT_EQ(pool.used(), 0U);
}

TEST_F(FlightTest, repeated_and_growing_blocks_count_once)
{
    fill(10);
    EXPECT_EQ(sack(2, 4), 200U);
    EXPECT_EQ(sack(2, 4), 0U);
    EXPECT_EQ(sack(2, 6), 200U);
    EXPECT_EQ(sack(8, 9), 100U);
    EXPECT_EQ(sack(1, 10), 400U);
    EXPECT_EQ(flight.sacked_segments(), 9U);
    EXPECT_EQ(flight.sacked_bytes(), 900U);
    EXPECT_EQ(acknowledge(10), 100U) << "only the first was not delivered before";
    EXPECT_EQ(flight.sacked_bytes(), 0U);
}

TEST_F(FlightTest, block_that_covers_part_of_a_segment_says_nothing_of_it)
{
    fill(3);
    EXPECT_EQ(flight.sack({Sequence{1050}, Sequence{1250}}, [](const SentSegment&) {}), 100U);
    EXPECT_TRUE(flight[static_cast<Flight::Position>(flight.first() + 1)].is(SentSegment::sacked));
    EXPECT_EQ(flight.sacked_segments(), 1U);
}

TEST_F(FlightTest, acknowledgment_of_part_of_a_segment_leaves_the_rest)
{
    fill(2);
    EXPECT_EQ(flight.acknowledge(Sequence{1030}, [](const SentSegment&) { FAIL(); }), 30U);
    EXPECT_EQ(flight[flight.first()].begin, Sequence{1030});
    EXPECT_EQ(flight[flight.first()].length, 70U);
}

TEST_F(FlightTest, retransmission_moves_to_the_end_of_the_order_of_transmission)
{
    fill(4);
    flight.mark_lost(flight.first());
    EXPECT_EQ(flight.lost_bytes(), 100U);
    EXPECT_EQ(flight.first_lost(), flight.first());
    flight.resent(flight.first(), 10);
    EXPECT_EQ(flight.lost_bytes(), 0U);
    EXPECT_EQ(in_order_of_transmission(), (std::vector<std::uint32_t>{1, 2, 3, 0}));
    flight.mark_all_lost();
    EXPECT_TRUE(in_order_of_transmission().empty());
    flight.unmark_lost();
    EXPECT_EQ(flight.lost_bytes(), 0U);
    EXPECT_EQ(in_order_of_transmission().size(), 4U);
}

TEST_F(FlightTest, cutting_keeps_what_is_sacked_and_joins_what_is_lost)
{
    fill(4);
    sack(2, 3);
    flight.mark_all_lost();
    flight.cut(pool, 60);
    std::vector<std::uint16_t> sizes;
    for (std::uint16_t index = 0; index < flight.size(); ++index) {
        sizes.push_back(flight[static_cast<Flight::Position>(flight.first() + index)].length);
    }
    EXPECT_EQ(sizes, (std::vector<std::uint16_t>{60, 60, 60, 20, 100, 60, 40}));
    EXPECT_EQ(flight.lost_bytes(), 300U);
    EXPECT_EQ(flight.sacked_bytes(), 100U);
}

TEST_F(FlightTest, cutting_keeps_the_order_of_transmission)
{
    fill(3);
    flight.mark_lost(flight.first());
    flight.resent(flight.first(), 10);
    flight.cut(pool, 50);
    std::vector<std::uint32_t> order;
    flight.each_on_its_way([&](Flight::Position, const SentSegment& record) {
        order.push_back(record.begin.value());
        return true;
    });
    EXPECT_EQ(order, (std::vector<std::uint32_t>{1100, 1150, 1200, 1250, 1000, 1050}));
}

TEST_F(FlightTest, cutting_without_memory_changes_nothing)
{
    BufferPool none{0};
    Flight one;
    one.push(Sequence{1000}, 100, 0);
    one.cut(none, 60);
    EXPECT_EQ(one.size(), 1U);
    EXPECT_EQ(one[one.first()].length, 100U);
}

/// The same as Flight, kept as a list; one random operation on both at a time.
class Twins {
public:
    explicit Twins(std::uint64_t seed) : random_{seed} {}
    ~Twins() { flight_.release(pool_); }

    void step()
    {
        switch (random_.below(records_.size() < 40 ? 8 : 12)) {
        case 0:
        case 1:
        case 2:
        case 3:
            return push();
        case 4:
            return sack();
        case 5:
            return lose();
        case 6:
            return send_again();
        case 7:
            return renege();
        default:
            return acknowledge();
        }
    }

    void compare()
    {
        std::uint32_t sacked = 0;
        std::uint32_t lost = 0;
        std::vector<Record> moving;
        for (const Record& one : records_) {
            sacked += one.sacked ? one.length : 0U;
            lost += one.lost ? one.length : 0U;
            if (!one.sacked && !one.lost) {
                moving.push_back(one);
            }
        }
        ASSERT_EQ(flight_.size(), records_.size());
        ASSERT_EQ(flight_.sacked_bytes(), sacked);
        ASSERT_EQ(flight_.lost_bytes(), lost);
        std::sort(moving.begin(), moving.end(),
                  [](const Record& one, const Record& other) { return one.order < other.order; });
        std::size_t index = 0;
        flight_.each_on_its_way([&](Flight::Position, const SentSegment& record) {
            const bool same = index < moving.size() && record.begin.value() == moving[index].begin;
            EXPECT_TRUE(same) << "in the order of transmission, at " << index;
            ++index;
            return same;
        });
        ASSERT_EQ(index, moving.size());
    }

private:
    struct Record {
        std::uint32_t begin;
        std::uint16_t length;
        std::uint32_t order;
        bool sacked;
        bool lost;
    };

    [[nodiscard]] Flight::Position at(std::size_t index) const
    {
        return static_cast<Flight::Position>(flight_.first() + index);
    }
    [[nodiscard]] Sequence edge(std::size_t index) const
    {
        return Sequence{index < records_.size() ? records_[index].begin : next_};
    }

    void push()
    {
        const auto length = static_cast<std::uint16_t>(1 + random_.below(1500));
        ASSERT_TRUE(flight_.reserve(pool_));
        flight_.push(Sequence{next_}, length, order_);
        records_.push_back({next_, length, order_++, false, false});
        next_ += length;
    }
    void sack()
    {
        const std::size_t from = random_.below(records_.size() + 1);
        const std::size_t to = from + random_.below(std::min<std::size_t>(records_.size() - from, 12) + 1);
        std::uint32_t expected = 0;
        const SequenceRange block{edge(from), edge(to)};
        for (std::size_t index = from; index < to; ++index) {
            Record& one = records_[index];
            expected += one.sacked ? 0U : one.length;
            one.sacked = true;
            one.lost = false;
        }
        ASSERT_EQ(flight_.sack(block, [](const SentSegment&) {}), expected);
    }
    void lose()
    {
        if (!records_.empty()) {
            const std::size_t index = random_.below(records_.size());
            flight_.mark_lost(at(index));
            records_[index].lost = !records_[index].sacked;
        }
    }
    void send_again()
    {
        if (flight_.lost_bytes() == 0) {
            return;
        }
        const auto lost = std::find_if(records_.begin(), records_.end(), [](const Record& one) { return one.lost; });
        ASSERT_EQ(flight_[flight_.first_lost()].begin.value(), lost->begin);
        flight_.resent(flight_.first_lost(), order_);
        lost->lost = false;
        lost->order = order_++;
    }
    void renege()
    {
        if (!random_.chance(20'000)) {
            return;
        }
        flight_.forget_sacked();
        for (Record& one : records_) {
            one.lost = one.lost || one.sacked;
            one.sacked = false;
        }
    }
    void acknowledge()
    {
        std::uint32_t expected = 0;
        for (std::size_t gone = random_.below(std::min<std::size_t>(records_.size(), 6) + 1); gone != 0; --gone) {
            expected += records_.front().sacked ? 0U : records_.front().length;
            records_.pop_front();
        }
        ASSERT_EQ(flight_.acknowledge(edge(0), [](const SentSegment&) {}), expected);
    }

    Random random_;
    BufferPool pool_{1U << 20U};
    Flight flight_;
    std::deque<Record> records_;
    std::uint32_t next_ = 0xffff'f000U; // Sequence numbers wrap on the way.
    std::uint32_t order_ = 0;
};

TEST(Flight, random_operations_agree_with_a_list)
{
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        Twins twins{seed};
        for (int step = 0; step < 2000 && !::testing::Test::HasFailure(); ++step) {
            twins.step();
            twins.compare();
        }
        ASSERT_FALSE(::testing::Test::HasFailure()) << "seed " << seed;
    }
}

} // namespace
} // namespace sluice::tcp
