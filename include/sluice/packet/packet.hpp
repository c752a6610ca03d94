// A packet: one contiguous buffer with headroom, owned by exactly one place at a time.
//
//    buffer                data()                  data()+size()
//    │◄──── headroom() ────►│◄────── size() ───────►│◄──── tailroom() ────►│
//
// A Packet is a value of 32 bytes that may be moved between cores; its buffer goes back to its pool when the value
// dies. Used by one core at a time.
#pragma once

#include <sluice/base/bytes.hpp>

#include <array>
#include <cstdint>
#include <utility>

namespace sluice::packet {

/// Bytes kept free in front of received and allocated packets: room for VLAN, tunnel and option headers to come.
inline constexpr std::size_t default_headroom = 128;
/// Bytes of a buffer behind its default headroom: the largest frame that a pool's packet holds by default.
inline constexpr std::size_t default_data_room = 1920;

class Packet;

/// A source of buffers of one fixed size.
class Pool {
public:
    virtual ~Pool() = default;
    /// An empty packet with default_headroom, or a packet without a buffer (false) when the pool has none. Owner core
    /// only, unless the implementation says otherwise. Never blocks.
    [[nodiscard]] virtual Packet allocate() noexcept = 0;
    /// Takes a buffer back. Any core.
    virtual void release(void* buffer) noexcept = 0;
    /// Buffers that could be allocated now; exact only when nobody allocates or releases. Any thread.
    [[nodiscard]] virtual std::size_t available() const noexcept = 0;
    [[nodiscard]] virtual std::size_t capacity() const noexcept = 0;
};

class Packet {
public:
    Packet() noexcept = default;
    Packet(Pool& pool, void* buffer, std::byte* data, std::uint16_t size, std::uint16_t headroom,
           std::uint16_t tailroom) noexcept
        : pool_{&pool}, buffer_{buffer}, data_{data}, size_{size}, headroom_{headroom}, tailroom_{tailroom}
    {
    }
    Packet(Packet&& other) noexcept { take(other); }
    Packet& operator=(Packet&& other) noexcept
    {
        if (this != &other) {
            reset();
            take(other);
        }
        return *this;
    }
    Packet(const Packet&) = delete;
    Packet& operator=(const Packet&) = delete;
    ~Packet() { reset(); }

    [[nodiscard]] explicit operator bool() const noexcept { return buffer_ != nullptr; }
    [[nodiscard]] std::byte* data() noexcept { return data_; }
    [[nodiscard]] const std::byte* data() const noexcept { return data_; }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] std::size_t headroom() const noexcept { return headroom_; }
    [[nodiscard]] std::size_t tailroom() const noexcept { return tailroom_; }
    [[nodiscard]] Bytes bytes() const noexcept { return {data_, size_}; }
    [[nodiscard]] MutableBytes bytes() noexcept { return {data_, size_}; }

    /// Grows at the front; the new first byte, or nullptr when the headroom is too small (nothing changed then).
    [[nodiscard]] std::byte* prepend(std::size_t count) noexcept
    {
        if (count > headroom_) {
            return nullptr;
        }
        data_ -= count;
        headroom_ = static_cast<std::uint16_t>(headroom_ - count);
        size_ = static_cast<std::uint16_t>(size_ + count);
        return data_;
    }
    /// Grows at the end; the first new byte, or nullptr when the tailroom is too small (nothing changed then).
    [[nodiscard]] std::byte* append(std::size_t count) noexcept
    {
        if (count > tailroom_) {
            return nullptr;
        }
        std::byte* const added = data_ + size_;
        size_ = static_cast<std::uint16_t>(size_ + count);
        tailroom_ = static_cast<std::uint16_t>(tailroom_ - count);
        return added;
    }
    /// Cuts at the front; `count` must not exceed size().
    void trim_front(std::size_t count) noexcept
    {
        data_ += count;
        headroom_ = static_cast<std::uint16_t>(headroom_ + count);
        size_ = static_cast<std::uint16_t>(size_ - count);
    }
    /// Cuts at the end; `count` must not exceed size().
    void trim_back(std::size_t count) noexcept
    {
        size_ = static_cast<std::uint16_t>(size_ - count);
        tailroom_ = static_cast<std::uint16_t>(tailroom_ + count);
    }
    /// Gives the buffer back to its pool.
    void reset() noexcept
    {
        if (buffer_ != nullptr) {
            pool_->release(std::exchange(buffer_, nullptr));
        }
    }
    /// Gives the buffer away to a driver; the caller owns it then.
    [[nodiscard]] void* release() noexcept { return std::exchange(buffer_, nullptr); }

    [[nodiscard]] Pool* pool() const noexcept { return pool_; }
    [[nodiscard]] void* buffer() const noexcept { return buffer_; }

    /// The NIC has verified the transport checksum of this received packet.
    [[nodiscard]] bool checksum_verified() const noexcept { return checksum_verified_; }
    void set_checksum_verified(bool value) noexcept { checksum_verified_ = value; }
    /// Index of the port that received it.
    [[nodiscard]] std::uint8_t port() const noexcept { return port_; }
    void set_port(std::uint8_t value) noexcept { port_ = value; }

private:
    void take(Packet& other) noexcept
    {
        pool_ = other.pool_;
        buffer_ = std::exchange(other.buffer_, nullptr);
        data_ = other.data_;
        size_ = other.size_;
        headroom_ = other.headroom_;
        tailroom_ = other.tailroom_;
        checksum_verified_ = other.checksum_verified_;
        port_ = other.port_;
    }

    Pool* pool_ = nullptr;
    void* buffer_ = nullptr;
    std::byte* data_ = nullptr;
    std::uint16_t size_ = 0;
    std::uint16_t headroom_ = 0;
    std::uint16_t tailroom_ = 0;
    bool checksum_verified_ = false;
    std::uint8_t port_ = 0;
};

/// Up to 64 packets, in order. One core.
class Burst {
public:
    static constexpr std::size_t capacity = 64;

    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] std::size_t room() const noexcept { return capacity - size_; }
    [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
    [[nodiscard]] bool full() const noexcept { return size_ == capacity; }
    /// Only when room() > 0.
    void push(Packet&& packet) noexcept { packets_[size_++] = std::move(packet); }
    [[nodiscard]] Packet& operator[](std::size_t index) noexcept { return packets_[index]; }
    [[nodiscard]] Packet* begin() noexcept { return packets_.data(); }
    [[nodiscard]] Packet* end() noexcept { return packets_.data() + size_; }
    /// Drops whatever buffers are still there.
    void clear() noexcept
    {
        for (Packet& packet : *this) {
            packet.reset();
        }
        size_ = 0;
    }
    /// Removes the first `count` packets; their buffers must have been taken or are dropped.
    void erase_front(std::size_t count) noexcept
    {
        for (std::size_t index = 0; index < size_; ++index) {
            if (index + count < size_) {
                packets_[index] = std::move(packets_[index + count]);
            } else {
                packets_[index].reset();
            }
        }
        size_ = count < size_ ? size_ - count : 0;
    }

private:
    std::array<Packet, capacity> packets_;
    std::size_t size_ = 0;
};

} // namespace sluice::packet
