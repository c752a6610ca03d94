// A seeded wire between two TCP hosts in virtual time: loss, reordering, duplication, corruption, delay and jitter; and
// the judge that watches every segment on it.
#pragma once

#include "support/tcp_host.hpp"

#include <sluice/base/random.hpp>

#include <map>
#include <queue>
#include <string>

namespace sluice::simulation {

struct WireOptions {
    std::uint32_t loss = 0; ///< Millionths, each direction
    std::uint32_t duplicate = 0;
    std::uint32_t corrupt = 0;
    std::uint32_t reorder = 0; ///< Packets held back by up to `reorder_delay`
    Duration delay{};
    Duration jitter{}; ///< Keeps the order
    Duration reorder_delay{};
};

/// A number from the environment.
[[nodiscard]] std::uint64_t number(const char* name, std::uint64_t otherwise);

/// What must hold for every segment that a stack sends. Empty `complaint` means that it did.
class Judge {
public:
    void sent(TimePoint now, const std::vector<std::byte>& bytes);
    [[nodiscard]] const std::string& complaint() const noexcept { return complaint_; }
    std::uint64_t segments = 0;
    std::uint64_t payload_bytes = 0;
    std::uint64_t data_segments = 0;

private:
    struct Direction {
        bool synchronized = false;
        bool scaled = false;
        std::uint8_t scale = 0;
        wire::Sequence edge;
        wire::Sequence acknowledged;
        bool fin = false;
        wire::Sequence end; ///< Behind the FIN
    };
    std::map<std::pair<wire::Endpoint, wire::Endpoint>, Direction> directions_;
    std::string complaint_;
};

class Wire {
public:
    Wire(FakeClock& clock, testing::TcpHost& left, testing::TcpHost& right, const WireOptions& options,
         std::uint64_t seed)
        : clock_{clock}, hosts_{&left, &right}, options_{options}, random_{seed}
    {
    }

    /// Runs both hosts and the wire until nothing more happens before `end`; false when the judge complained or
    /// `finished` said so.
    template <class Condition>
    bool run_until(TimePoint end, Condition finished)
    {
        for (;;) {
            turn();
            if (!judge.complaint().empty() || finished()) {
                return judge.complaint().empty();
            }
            TimePoint next = std::min(hosts_[0]->loop.next_deadline(), hosts_[1]->loop.next_deadline());
            if (!queue_.empty()) {
                next = std::min(next, queue_.top().at);
            }
            if (next >= end) {
                clock_.set(end);
                turn();
                return judge.complaint().empty();
            }
            clock_.set(std::max(next, clock_.now()));
            ++steps;
        }
    }

    Judge judge;
    std::uint64_t steps = 0;
    bool cut = false; ///< Everything is lost.

private:
    struct Flying {
        TimePoint at;
        std::uint64_t order;
        std::size_t to;
        std::vector<std::byte> bytes;
        bool operator<(const Flying& other) const noexcept
        {
            return std::tie(other.at, other.order) < std::tie(at, order);
        }
    };

    void turn();
    void send(std::size_t to, std::vector<std::byte> bytes);

    FakeClock& clock_;
    std::array<testing::TcpHost*, 2> hosts_;
    WireOptions options_;
    Random random_;
    std::priority_queue<Flying> queue_;
    std::array<TimePoint, 2> last_arrival_{};
    std::uint64_t order_ = 0;
};

} // namespace sluice::simulation
