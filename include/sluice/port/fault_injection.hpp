// A decorator that treats frames as a bad network does: lost, duplicated, corrupted, late, out of order. The same seed
// and the same frames give the same faults.
#pragma once

#include <sluice/packet/heap_pool.hpp>
#include <sluice/port/port.hpp>
#include <sluice/telemetry/counters.hpp>

#include <memory>
#include <vector>

namespace sluice::port {

/// Probabilities in millionths, each decided for every frame on its own.
struct Faults {
    std::uint32_t drop = 0;
    std::uint32_t duplicate = 0; ///< The copy follows its frame, with a delay of its own
    std::uint32_t corrupt = 0;   ///< One bit anywhere behind the Ethernet header is flipped
    std::uint32_t reorder = 0; ///< The frame is held back for up to reorder_window more, so that later ones overtake it
    Duration reorder_window{std::chrono::milliseconds{2}};
    Duration delay{0};  ///< Of every frame
    Duration jitter{0}; ///< Up to that much more; order is kept unless it exceeds the distance of frames
};

struct FaultCounts {
    std::uint64_t dropped = 0;
    std::uint64_t duplicated = 0;
    std::uint64_t corrupted = 0;
    std::uint64_t reordered = 0;
    std::uint64_t overflowed = 0; ///< Lost because too many frames were held back already
};

struct FaultInjectionOptions {
    std::uint64_t seed = 1;
    Faults receive{};
    Faults transmit{};
    std::size_t held_limit = 4096; ///< Frames held back per queue and direction
    std::size_t duplicates = 256;  ///< Copies under way per queue and direction
};

/// Receive and transmit queue of the same number belong to the same core: whoever receives also sends what was delayed.
/// What is held back leaves at the first receive() or transmit() after its time; poll_at() says when.
class FaultInjection final : public Port {
public:
    /// Both must outlive it.
    FaultInjection(Port& inner, const Clock& clock, const FaultInjectionOptions& options);
    ~FaultInjection() override;
    FaultInjection(const FaultInjection&) = delete;
    FaultInjection& operator=(const FaultInjection&) = delete;

    [[nodiscard]] std::string_view name() const noexcept override { return inner_.name(); }
    [[nodiscard]] wire::MacAddress mac() const noexcept override { return inner_.mac(); }
    [[nodiscard]] std::uint16_t mtu() const noexcept override { return inner_.mtu(); }
    [[nodiscard]] const Capabilities& capabilities() const noexcept override { return inner_.capabilities(); }
    std::size_t receive(std::uint16_t queue, packet::Burst& out) noexcept override;
    std::size_t transmit(std::uint16_t queue, packet::Burst& frames) noexcept override;
    [[nodiscard]] int descriptor(std::uint16_t queue) const noexcept override { return inner_.descriptor(queue); }
    [[nodiscard]] TimePoint poll_at(std::uint16_t queue) const noexcept override;
    [[nodiscard]] bool link_up() const noexcept override { return inner_.link_up(); }
    void refresh() noexcept override { inner_.refresh(); }
    [[nodiscard]] Statistics statistics() const noexcept override { return inner_.statistics(); }
    void accept_mac(const wire::MacAddress& mac) noexcept override { inner_.accept_mac(mac); }

    /// Changes what happens from now on. While no queue is in use, or from the thread that uses them all.
    void set_faults(const Faults& receive, const Faults& transmit) noexcept;
    [[nodiscard]] FaultCounts receive_faults() const noexcept;  ///< Any thread
    [[nodiscard]] FaultCounts transmit_faults() const noexcept; ///< Any thread

private:
    class Lane;
    void send_due(std::uint16_t queue, TimePoint now) noexcept;
    [[nodiscard]] static FaultCounts sum(const std::vector<std::unique_ptr<Lane>>& lanes) noexcept;

    Port& inner_;
    const Clock& clock_;
    std::vector<std::unique_ptr<Lane>> receive_;
    std::vector<std::unique_ptr<Lane>> transmit_;
};

} // namespace sluice::port
