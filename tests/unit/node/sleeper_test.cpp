// How an idle core sleeps when something is wrong with a descriptor.
#include "app/sleeper.hpp"

#include <gtest/gtest.h>

#include <arpa/inet.h>
#include <array>
#include <chrono>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace sluice::app {
namespace {

using namespace std::chrono_literals;

TEST(Sleep, error_of_a_socket_ends_one_sleep_and_not_every_other_too)
{
    // Nobody has the port of a socket that was closed: what is sent there comes back as an error.
    const int socket = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int closed = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    socklen_t size = sizeof address;
    ASSERT_EQ(bind(closed, reinterpret_cast<const sockaddr*>(&address), size), 0);
    ASSERT_EQ(getsockname(closed, reinterpret_cast<sockaddr*>(&address), &size), 0);
    close(closed);
    ASSERT_EQ(connect(socket, reinterpret_cast<const sockaddr*>(&address), size), 0);
    handoff::Wakeup wakeup;
    Sleeper sleeper{wakeup, std::array{socket}};
    ASSERT_EQ(send(socket, "x", 1, 0), 1);

    sleeper.sleep(1s);
    const auto began = std::chrono::steady_clock::now();
    sleeper.sleep(50ms);
    EXPECT_GE(std::chrono::steady_clock::now() - began, 40ms);
    close(socket);
}

} // namespace
} // namespace sluice::app
