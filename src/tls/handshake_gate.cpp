#include <sluice/tls/handshake_gate.hpp>

namespace sluice::tls {

HandshakeGate::~HandshakeGate()
{
    while (first_ != nullptr) {
        Waiter& waiter = *first_;
        unlink(waiter);
        waiter.abandoned();
    }
}

void HandshakeGate::enter(Waiter& waiter) noexcept
{
    waiter.previous_ = last_;
    waiter.next_ = nullptr;
    (last_ != nullptr ? last_->next_ : first_) = &waiter;
    last_ = &waiter;
    ++waiting_;
}

void HandshakeGate::leave(Waiter& waiter) noexcept { unlink(waiter); }

bool HandshakeGate::admit_one() noexcept
{
    if (first_ == nullptr) {
        return false;
    }
    Waiter& waiter = *first_;
    unlink(waiter);
    waiter.admitted();
    return true;
}

void HandshakeGate::unlink(Waiter& waiter) noexcept
{
    (waiter.previous_ != nullptr ? waiter.previous_->next_ : first_) = waiter.next_;
    (waiter.next_ != nullptr ? waiter.next_->previous_ : last_) = waiter.previous_;
    waiter.previous_ = nullptr;
    waiter.next_ = nullptr;
    --waiting_;
}

} // namespace sluice::tls
