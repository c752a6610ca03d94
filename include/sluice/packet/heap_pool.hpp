// A pool in ordinary memory: for tests, simulation and programs that use the TCP stack without DPDK.
#pragma once

#include <sluice/packet/packet.hpp>

#include <atomic>
#include <memory>
#include <vector>

namespace sluice::packet {

/// allocate() belongs to one core, release() to any: returned buffers go onto a lock-free stack that the owner takes
/// whole, so there is no ABA problem and no lock.
class HeapPool final : public Pool {
public:
    /// `count` buffers of default_headroom + data_room bytes, laid out now; nothing is allocated later.
    explicit HeapPool(std::size_t count, std::size_t data_room = default_data_room);
    HeapPool(const HeapPool&) = delete;
    HeapPool& operator=(const HeapPool&) = delete;
    /// Every packet must be back.
    ~HeapPool() override;

    [[nodiscard]] Packet allocate() noexcept override;
    void release(void* buffer) noexcept override;
    [[nodiscard]] std::size_t available() const noexcept override { return available_.load(std::memory_order_relaxed); }
    [[nodiscard]] std::size_t capacity() const noexcept override { return count_; }

private:
    struct Buffer {
        Buffer* next = nullptr;
    };

    [[nodiscard]] std::byte* room_of(Buffer* buffer) const noexcept;

    std::size_t count_;
    std::size_t room_;
    std::size_t stride_;
    std::unique_ptr<std::byte[]> memory_;
    Buffer* free_ = nullptr; ///< Owner only
    alignas(64) std::atomic<Buffer*> returned_{nullptr};
    std::atomic<std::size_t> available_;
};

} // namespace sluice::packet
