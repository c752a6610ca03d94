// A packet pool in DPDK memory. Its packets go to drivers as they are; packets of other pools are copied by the port.
#pragma once

#include <sluice/base/result.hpp>
#include <sluice/packet/packet.hpp>

#include <memory>
#include <string>

struct rte_mempool;
struct rte_mbuf;

namespace sluice::port {

/// allocate() and release() from any thread, also preempted ones: the ring behind it never waits for a thread that the
/// scheduler has put aside, as DPDK's default does. Threads registered with app::Machine have a cache of their own.
/// EAL must be running before a pool is made and until it is gone.
class DpdkPool final : public packet::Pool {
public:
    /// `name` is unique in the process, at most 25 characters.
    [[nodiscard]] static Expected<std::unique_ptr<DpdkPool>, MachineError>
    create(const std::string& name, std::size_t count, std::size_t data_room = packet::default_data_room);
    /// Every packet must be back, from drivers too.
    ~DpdkPool() override;
    DpdkPool(const DpdkPool&) = delete;
    DpdkPool& operator=(const DpdkPool&) = delete;

    /// Memory that `count` buffers take, in bytes.
    [[nodiscard]] static std::size_t memory_of(std::size_t count,
                                               std::size_t data_room = packet::default_data_room) noexcept;

    [[nodiscard]] packet::Packet allocate() noexcept override;
    void release(void* buffer) noexcept override;
    [[nodiscard]] std::size_t available() const noexcept override;
    [[nodiscard]] std::size_t capacity() const noexcept override { return count_; }

    /// For drivers.
    [[nodiscard]] rte_mempool* mempool() const noexcept { return mempool_; }
    /// Does it lie in one piece, buffer behind buffer without gaps? AF_XDP needs that.
    [[nodiscard]] bool is_contiguous() const noexcept { return contiguous_; }
    /// Takes over a received buffer of this pool, in one segment.
    [[nodiscard]] packet::Packet adopt(rte_mbuf* buffer) noexcept;
    /// The driver's view of a packet of some DpdkPool. Once a driver has accepted it, release() the packet.
    [[nodiscard]] static rte_mbuf* lend(const packet::Packet& packet) noexcept;
    /// Does it come from a DpdkPool?
    [[nodiscard]] static bool owns(const packet::Packet& packet) noexcept;

private:
    DpdkPool(rte_mempool* mempool, std::size_t count, bool contiguous) noexcept
        : mempool_{mempool}, count_{count}, contiguous_{contiguous}
    {
    }

    rte_mempool* mempool_;
    std::size_t count_;
    bool contiguous_;
};

} // namespace sluice::port
