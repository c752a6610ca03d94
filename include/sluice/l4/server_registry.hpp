// From the id that a flow keeps to the server's live record. A reload that drops a server retires it; the record stays
// until the last flow is gone.
#pragma once

#include <sluice/base/time.hpp>
#include <sluice/health/server.hpp>
#include <sluice/l4/ids.hpp>

#include <atomic>
#include <cstddef>
#include <memory>
#include <vector>

namespace sluice::l4 {

class ServerRegistry {
public:
    static constexpr std::size_t maximum_capacity = std::size_t{1} << 20U;

    explicit ServerRegistry(std::size_t capacity = 65536);
    ServerRegistry(const ServerRegistry&) = delete;
    ServerRegistry& operator=(const ServerRegistry&) = delete;

    // ---- Control thread ----

    /// A new id for a server, or nobody when the registry is full.
    [[nodiscard]] ServerId add(std::shared_ptr<health::Server> server);
    /// The configuration does not list the server any more. Its flows see it as gone, see Entry::listed.
    void retire(ServerId id) noexcept;
    /// The configuration lists it again (before it was reclaimed): the same id, the same counters.
    void restore(ServerId id) noexcept;
    /// Frees retired records that no flow or upstream connection uses. Call it when every core has passed a quiet point
    /// since the retire(). Returns the ids that are invalid from now on.
    std::vector<ServerId> reclaim();

    // ---- Any core ----

    [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }
    /// Less than capacity(); unique among the ids that are valid at one time.
    [[nodiscard]] static std::size_t place(ServerId id) noexcept { return id.value >> generation_bits; }
    /// The network has said that packets on the way to this server must not be larger; remembered for ten minutes (RFC
    /// 1191 §6.3, RFC 8201 §5.3).
    void learn_path_mtu(ServerId id, std::uint16_t mtu, TimePoint now) noexcept;
    /// 0xffff when nothing was said lately.
    [[nodiscard]] std::uint16_t path_mtu(ServerId id, TimePoint now) const noexcept
    {
        const std::uint32_t index = id.value >> generation_bits;
        const std::uint64_t word =
            index < capacity_ ? slots_[index].path_mtu.load(std::memory_order_relaxed) : std::uint64_t{0};
        return second_of(now) < word >> 16U ? static_cast<std::uint16_t>(word) : std::uint16_t{0xffff};
    }

    struct Entry {
        health::Server* server = nullptr; ///< Valid within this turn; nullptr when the id is not valid any more
        bool listed = false;              ///< The configuration still has it
    };
    [[nodiscard]] Entry find(ServerId id) const noexcept
    {
        const std::size_t index = place(id);
        if (index >= capacity_) {
            return {};
        }
        const Slot& slot = slots_[index];
        const std::uint32_t word = slot.word.load(std::memory_order_acquire);
        if ((word >> 1U) != (id.value & generation_mask)) {
            return {};
        }
        return {slot.server.load(std::memory_order_relaxed), (word & 1U) != 0};
    }

private:
    static constexpr unsigned generation_bits = 12;
    static constexpr std::uint32_t generation_mask = (1U << generation_bits) - 1;

    struct Slot {
        std::atomic<health::Server*> server{nullptr};
        std::atomic<std::uint32_t> word{0};     ///< generation << 1 | listed; generation 0: free
        std::atomic<std::uint64_t> path_mtu{0}; ///< Second at which it is forgotten << 16 | bytes
    };

    [[nodiscard]] static std::uint64_t second_of(TimePoint time) noexcept
    {
        return static_cast<std::uint64_t>(
            std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count());
    }

    std::size_t capacity_;
    std::unique_ptr<Slot[]> slots_;
    std::vector<std::shared_ptr<health::Server>> owned_; ///< By slot
    std::vector<std::uint32_t> free_;
    std::vector<std::uint32_t> generations_; ///< Of the last use of each slot
    std::vector<std::uint32_t> retired_;
};

} // namespace sluice::l4
