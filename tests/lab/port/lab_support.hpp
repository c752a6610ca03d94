// What the tests of real ports share: frames with numbers, small machines, ports of the lab's interface.
#pragma once

#include "veth_lab.hpp"

#include <sluice/app/machine.hpp>
#include <sluice/port/ethdev_port.hpp>

#include <functional>
#include <gtest/gtest.h>
#include <memory>
#include <vector>

namespace sluice::lab {

inline constexpr std::uint16_t test_ether_type = 0x88b5; ///< For local experiments (IEEE Std 802)
inline constexpr std::uint8_t port_index = 2;

/// A broadcast frame that carries a number.
[[nodiscard]] std::vector<std::byte> frame_of(std::uint32_t number, std::size_t size = 60);
[[nodiscard]] packet::Packet packet_of(packet::Pool& pool, std::uint32_t number, std::size_t size = 60);
[[nodiscard]] app::MachineOptions small_machine();
[[nodiscard]] port::EthdevOptions options_for(const VethLab& lab, port::InterfaceDriver driver);
/// The port, or a failed expectation and nothing.
[[nodiscard]] std::unique_ptr<port::EthdevPort> open_port(const port::EthdevOptions& options);
[[nodiscard]] bool is_readable(int descriptor, int timeout_ms);

/// Receives until `count` frames of frame_of() came, or a second passed without any; sleeps on the queue's descriptor.
/// `then` sees every burst.
[[nodiscard]] std::vector<std::uint32_t> receive_numbers(port::EthdevPort& port, std::uint16_t queue, std::size_t count,
                                                         const std::function<void(packet::Burst&)>& then = {});
void send_all(port::EthdevPort& port, packet::Burst& burst);

/// Skips without root; makes the two namespaces otherwise.
class PortLab : public ::testing::Test {
protected:
    void SetUp() override;
    [[nodiscard]] VethLab& lab() { return *lab_; }

private:
    std::unique_ptr<VethLab> lab_;
};

} // namespace sluice::lab
