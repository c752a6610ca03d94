#include <sluice/base/random.hpp>
#include <sluice/port/fault_injection.hpp>

#include <algorithm>
#include <cassert>
#include <cstring>

namespace sluice::port {
namespace {

constexpr std::size_t ethernet_header = 14;
constexpr std::uint64_t lane_spread = 0x2545f4914f6cdd1dULL;

Duration up_to(Random& random, Duration limit) noexcept
{
    return limit.count() <= 0
               ? Duration{0}
               : Duration{static_cast<Duration::rep>(random.below(static_cast<std::uint64_t>(limit.count()) + 1))};
}

} // namespace

/// One direction of one queue: a bounded heap of frames by the time at which they leave.
class FaultInjection::Lane {
public:
    Lane(std::uint64_t seed, const Faults& faults, std::size_t held_limit, std::size_t duplicates)
        : faults_{faults}, random_{seed}, copies_{duplicates}, limit_{held_limit}
    {
        held_.reserve(held_limit);
    }

    void set_faults(const Faults& faults) noexcept { faults_ = faults; }
    [[nodiscard]] bool has_room() const noexcept { return held_.size() < limit_; }
    [[nodiscard]] TimePoint next_due() const noexcept { return held_.empty() ? never : held_.front().due; }
    [[nodiscard]] packet::Burst& leaving() noexcept { return leaving_; }

    /// Decides the fate of a frame that comes now.
    void admit(packet::Packet&& frame, TimePoint now) noexcept
    {
        // Every decision draws its number whether it is needed or not: changing one fault leaves the others' as they
        // were.
        const bool drop = random_.chance(faults_.drop);
        const bool duplicate = random_.chance(faults_.duplicate);
        const bool corrupt = random_.chance(faults_.corrupt);
        const std::uint64_t bit = random_.next();
        if (drop) {
            dropped_.add();
            frame.reset();
            return;
        }
        packet::Packet copy;
        if (duplicate) {
            copy = copy_of(frame);
        }
        if (corrupt && frame.size() > ethernet_header) {
            flip(frame, bit);
        }
        hold(std::move(frame), now);
        if (copy) {
            duplicated_.add();
            hold(std::move(copy), now);
        }
    }

    /// Moves what is due to `out`, as far as there is room, in the order in which it leaves.
    std::size_t release(TimePoint now, packet::Burst& out) noexcept
    {
        std::size_t count = 0;
        while (!held_.empty() && held_.front().due <= now && !out.full()) {
            std::pop_heap(held_.begin(), held_.end(), leaves_later);
            out.push(std::move(held_.back().frame));
            held_.pop_back();
            ++count;
        }
        return count;
    }

    [[nodiscard]] FaultCounts counts() const noexcept
    {
        return {dropped_.get(), duplicated_.get(), corrupted_.get(), reordered_.get(), overflowed_.get()};
    }

private:
    struct Held {
        TimePoint due;
        std::uint64_t order = 0;
        packet::Packet frame;
    };
    static bool leaves_later(const Held& left, const Held& right) noexcept
    {
        return left.due != right.due ? left.due > right.due : left.order > right.order;
    }

    void hold(packet::Packet&& frame, TimePoint now) noexcept
    {
        const Duration jitter = up_to(random_, faults_.jitter);
        const bool reorder = random_.chance(faults_.reorder);
        const Duration back = up_to(random_, faults_.reorder_window);
        if (held_.size() == limit_) {
            overflowed_.add();
            frame.reset();
            return;
        }
        if (reorder) {
            reordered_.add();
        }
        held_.push_back(
            {now + faults_.delay + jitter + (reorder ? back : Duration{0}), next_order_++, std::move(frame)});
        std::push_heap(held_.begin(), held_.end(), leaves_later);
    }

    [[nodiscard]] packet::Packet copy_of(const packet::Packet& frame) noexcept
    {
        packet::Packet copy = copies_.allocate();
        std::byte* const bytes = copy ? copy.append(frame.size()) : nullptr;
        if (bytes == nullptr) {
            return {};
        }
        std::memcpy(bytes, frame.data(), frame.size());
        copy.set_port(frame.port());
        copy.set_checksum_verified(frame.checksum_verified());
        return copy;
    }

    void flip(packet::Packet& frame, std::uint64_t bit) noexcept
    {
        const std::size_t position = ethernet_header + (bit >> 3U) % (frame.size() - ethernet_header);
        frame.data()[position] ^= std::byte{1} << (bit & 7U);
        frame.set_checksum_verified(false);
        corrupted_.add();
    }

    Faults faults_;
    Random random_;
    packet::HeapPool copies_; ///< Before held_ and leaving_, whose frames may be its own
    std::vector<Held> held_;
    packet::Burst leaving_; ///< Due, but refused by the inner port
    std::size_t limit_;
    std::uint64_t next_order_ = 0;
    telemetry::Cell dropped_;
    telemetry::Cell duplicated_;
    telemetry::Cell corrupted_;
    telemetry::Cell reordered_;
    telemetry::Cell overflowed_;
};

FaultInjection::FaultInjection(Port& inner, const Clock& clock, const FaultInjectionOptions& options)
    : inner_{inner}, clock_{clock}
{
    const Capabilities& capabilities = inner.capabilities();
    std::uint64_t seed = options.seed;
    for (std::uint16_t queue = 0; queue < capabilities.receive_queues; ++queue) {
        receive_.push_back(
            std::make_unique<Lane>(seed += lane_spread, options.receive, options.held_limit, options.duplicates));
    }
    for (std::uint16_t queue = 0; queue < capabilities.transmit_queues; ++queue) {
        transmit_.push_back(
            std::make_unique<Lane>(seed += lane_spread, options.transmit, options.held_limit, options.duplicates));
    }
}

FaultInjection::~FaultInjection() = default;

void FaultInjection::send_due(std::uint16_t queue, TimePoint now) noexcept
{
    Lane& lane = *transmit_[queue];
    packet::Burst& leaving = lane.leaving();
    while (lane.release(now, leaving) > 0 || !leaving.empty()) {
        if (inner_.transmit(queue, leaving) == 0) {
            return;
        }
    }
}

std::size_t FaultInjection::receive(std::uint16_t queue, packet::Burst& out) noexcept
{
    const TimePoint now = clock_.now();
    if (queue < transmit_.size()) {
        send_due(queue, now);
    }
    Lane& lane = *receive_[queue];
    packet::Burst arrived;
    if (lane.has_room()) {
        inner_.receive(queue, arrived);
        for (packet::Packet& frame : arrived) {
            lane.admit(std::move(frame), now);
        }
    }
    return lane.release(now, out);
}

std::size_t FaultInjection::transmit(std::uint16_t queue, packet::Burst& frames) noexcept
{
    const TimePoint now = clock_.now();
    Lane& lane = *transmit_[queue];
    std::size_t taken = 0;
    for (packet::Packet& frame : frames) {
        if (!lane.has_room()) {
            break;
        }
        lane.admit(std::move(frame), now);
        ++taken;
    }
    frames.erase_front(taken);
    send_due(queue, now);
    return taken;
}

TimePoint FaultInjection::poll_at(std::uint16_t queue) const noexcept
{
    TimePoint earliest = std::min(inner_.poll_at(queue), receive_[queue]->next_due());
    if (queue < transmit_.size()) {
        // What the inner port refused may go any time.
        earliest =
            transmit_[queue]->leaving().empty() ? std::min(earliest, transmit_[queue]->next_due()) : clock_.now();
    }
    return earliest;
}

void FaultInjection::set_faults(const Faults& receive, const Faults& transmit) noexcept
{
    for (const auto& lane : receive_) {
        lane->set_faults(receive);
    }
    for (const auto& lane : transmit_) {
        lane->set_faults(transmit);
    }
}

FaultCounts FaultInjection::sum(const std::vector<std::unique_ptr<Lane>>& lanes) noexcept
{
    FaultCounts total;
    for (const auto& lane : lanes) {
        const FaultCounts counts = lane->counts();
        total.dropped += counts.dropped;
        total.duplicated += counts.duplicated;
        total.corrupted += counts.corrupted;
        total.reordered += counts.reordered;
        total.overflowed += counts.overflowed;
    }
    return total;
}

FaultCounts FaultInjection::receive_faults() const noexcept { return sum(receive_); }
FaultCounts FaultInjection::transmit_faults() const noexcept { return sum(transmit_); }

} // namespace sluice::port
