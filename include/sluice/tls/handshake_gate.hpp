// Bounds private-key work per turn: a storm of full handshakes must not cost the core its VRRP deadline (an RSA-2048
// signature takes 0.4 ms, an RSA-4096 one 5 ms).
#pragma once

#include <cstddef>

namespace sluice::tls {

/// A first-come first-served queue of handshakes that are about to use their private key. One per core, not
/// thread-safe. Resumed handshakes never enter it: they sign nothing.
///
/// The loop of the core calls admit_one() once per turn and does not sleep while waiting() is not 0.
class HandshakeGate {
public:
    /// One waiting handshake; part of the operation that waits, so that waiting allocates nothing here.
    class Waiter {
    public:
        virtual ~Waiter() = default;
        /// Performs the private-key operation before it returns; completes its own operation later.
        virtual void admitted() noexcept = 0;
        /// The gate is being destroyed: frees what waits without completing it.
        virtual void abandoned() noexcept = 0;

    protected:
        Waiter() = default;
        Waiter(const Waiter&) = delete;
        Waiter& operator=(const Waiter&) = delete;

    private:
        friend class HandshakeGate;
        Waiter* previous_ = nullptr;
        Waiter* next_ = nullptr;
    };

    HandshakeGate() = default;
    ~HandshakeGate();
    HandshakeGate(const HandshakeGate&) = delete;
    HandshakeGate& operator=(const HandshakeGate&) = delete;

    /// The waiter must stay where it is until it is admitted or leaves.
    void enter(Waiter& waiter) noexcept;
    /// For a waiter that gave up (timeout, cancellation). The waiter must be waiting.
    void leave(Waiter& waiter) noexcept;

    /// Runs one private-key operation, inside this call; false when nobody waits.
    bool admit_one() noexcept;
    [[nodiscard]] std::size_t waiting() const noexcept { return waiting_; }

private:
    void unlink(Waiter& waiter) noexcept;

    Waiter* first_ = nullptr;
    Waiter* last_ = nullptr;
    std::size_t waiting_ = 0;
};

} // namespace sluice::tls
