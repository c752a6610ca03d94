#include <sluice/handoff/wakeup.hpp>

#include <cerrno>
#include <cstdint>
#include <sys/eventfd.h>
#include <system_error>
#include <unistd.h>

namespace sluice::handoff {

Wakeup::Wakeup() : descriptor_{eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)}
{
    if (descriptor_ < 0) {
        throw std::system_error{errno, std::generic_category(), "eventfd"};
    }
}

Wakeup::~Wakeup() { close(descriptor_); }

void Wakeup::arm() noexcept
{
    // Sequentially consistent on both sides: either the sleeper's second look sees the work, or the waker sees it
    // armed.
    armed_.store(true, std::memory_order_seq_cst);
}

void Wakeup::disarm() noexcept
{
    armed_.store(false, std::memory_order_relaxed);
    std::uint64_t ignored = 0;
    [[maybe_unused]] const ssize_t got = read(descriptor_, &ignored, sizeof ignored);
}

void Wakeup::wake() noexcept
{
    if (armed_.exchange(false, std::memory_order_seq_cst)) {
        const std::uint64_t one = 1;
        [[maybe_unused]] const ssize_t put = write(descriptor_, &one, sizeof one);
    }
}

} // namespace sluice::handoff
