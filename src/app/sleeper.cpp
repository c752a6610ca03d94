#include "sleeper.hpp"

#include <algorithm>
#include <cerrno>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <system_error>
#include <unistd.h>

namespace sluice::app {
namespace {

void watch(int epoll, int descriptor)
{
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = descriptor;
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event) != 0 && errno != EEXIST) {
        throw std::system_error{errno, std::generic_category(), "epoll_ctl"};
    }
}

/// A socket whose interface went down has an error until somebody asks for it, and whoever reads its ring never does:
/// the core could not sleep until then.
void take_error(int socket) noexcept
{
    int error = 0;
    socklen_t size = sizeof error;
    static_cast<void>(getsockopt(socket, SOL_SOCKET, SO_ERROR, &error, &size));
}

} // namespace

Sleeper::Sleeper(handoff::Wakeup& wakeup, std::span<const int> descriptors)
    : wakeup_{wakeup}, epoll_{epoll_create1(EPOLL_CLOEXEC)}
{
    if (epoll_ < 0) {
        throw std::system_error{errno, std::generic_category(), "epoll_create1"};
    }
    watch(epoll_, wakeup.descriptor());
    for (const int descriptor : descriptors) {
        if (descriptor >= 0) {
            watch(epoll_, descriptor);
        } else {
            complete_ = false;
        }
    }
}

Sleeper::~Sleeper() { close(epoll_); }

void Sleeper::sleep(Duration most) noexcept
{
    if (!complete_) {
        most = std::min(most, step_);
        step_ = std::min(step_ * 2, longest_nap);
    }
    if (most <= Duration::zero()) {
        return;
    }
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(most);
    const timespec timeout{seconds.count(), (most - seconds).count()};
    epoll_event events[8]{};
    // Whatever ends it, the loop looks at everything anyway.
    const int count = epoll_pwait2(epoll_, events, 8, &timeout, nullptr);
    for (int index = 0; index < count; ++index) {
        if ((events[index].events & EPOLLERR) != 0) {
            take_error(events[index].data.fd);
        }
    }
}

} // namespace sluice::app
