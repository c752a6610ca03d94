// A seeded wire between two TCP hosts in virtual time: loss, reordering, duplication, corruption, delay and jitter; and
// the judge that watches every segment on it.
#pragma once

#include "support/tcp_host.hpp"

#include <port/pcapng_file.hpp>
#include <sluice/base/random.hpp>

#include <map>
#include <memory>
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
    std::uint16_t narrow_mtu = 0; ///< From `narrow_at` on for 20 s larger packets do not pass; 0: never
    TimePoint narrow_at{};
    bool black_hole = false; ///< Nobody says so (RFC 2923)
    int clock_jumps = 0;     ///< So often both hosts sleep for up to ten seconds
};

/// Writes what is sent into $SLUICE_CAPTURE-NAME.pcapng, when that is set.
class Recorder {
public:
    explicit Recorder(const char* name);
    void write(TimePoint now, Bytes packet, port::Direction direction);

private:
    std::unique_ptr<port::PcapngFile> file_;
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
        wire::Sequence end;  ///< Behind the FIN
        wire::Sequence sent; ///< Behind the last byte that was sent
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
            clock_.set(std::max(next, clock_.now()) + jump());
            ++steps;
        }
    }

    Judge judge;
    std::uint64_t steps = 0;
    bool cut = false;       ///< Everything is lost.
    TimePoint last_fault{}; ///< When a packet was last lost or damaged

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
    [[nodiscard]] bool too_big(const std::vector<std::byte>& bytes) const noexcept
    {
        return bytes.size() > options_.narrow_mtu && options_.narrow_mtu != 0 && clock_.now() >= options_.narrow_at &&
               clock_.now() < options_.narrow_at + std::chrono::seconds{20};
    }
    /// The router's "packet too big" (RFC 792, RFC 1191; RFC 4443 section 3.2) to who sent it.
    void answer_too_big(std::size_t from, const std::vector<std::byte>& bytes);
    [[nodiscard]] Duration jump() noexcept;

    FakeClock& clock_;
    std::array<testing::TcpHost*, 2> hosts_;
    WireOptions options_;
    Random random_;
    std::priority_queue<Flying> queue_;
    std::array<TimePoint, 2> last_arrival_{};
    std::uint64_t order_ = 0;
    int jumps_ = 0;
    Recorder recorder_{"two-stacks"};
};

} // namespace sluice::simulation
