#include "lab_support.hpp"

#include <cstring>
#include <poll.h>
#include <unistd.h>

namespace sluice::lab {

std::vector<std::byte> frame_of(std::uint32_t number, std::size_t size)
{
    std::vector<std::byte> frame(size);
    std::memset(frame.data(), 0xff, 6);
    frame[6] = std::byte{2};
    store16(frame.data() + 12, test_ether_type);
    store32(frame.data() + 14, number);
    for (std::size_t index = 18; index < size; ++index) {
        frame[index] = static_cast<std::byte>(number + index);
    }
    return frame;
}

packet::Packet packet_of(packet::Pool& pool, std::uint32_t number, std::size_t size)
{
    packet::Packet packet = pool.allocate();
    const std::vector<std::byte> frame = frame_of(number, size);
    std::memcpy(packet.append(frame.size()), frame.data(), frame.size());
    return packet;
}

app::MachineOptions small_machine()
{
    app::MachineOptions options;
    options.hugepages = app::HugePageUse::off;
    options.memory_bytes = 128ULL << 20U;
    options.program = "sluice-lab";
    return options;
}

port::EthdevOptions options_for(const VethLab& lab, port::InterfaceDriver driver)
{
    port::EthdevOptions options;
    options.name = "front";
    options.index = port_index;
    options.device = port::InterfaceDevice{VethLab::port_interface, driver};
    options.runtime_directory = lab.directory();
    return options;
}

std::unique_ptr<port::EthdevPort> open_port(const port::EthdevOptions& options)
{
    auto opened = port::EthdevPort::open(options);
    if (!opened) {
        ADD_FAILURE() << opened.error().message << "; " << opened.error().remedy;
        return nullptr;
    }
    return std::move(*opened);
}

bool is_readable(int descriptor, int timeout_ms)
{
    pollfd entry{descriptor, POLLIN, 0};
    return ::poll(&entry, 1, timeout_ms) == 1;
}

std::vector<std::uint32_t> receive_numbers(port::EthdevPort& port, std::uint16_t queue, std::size_t count,
                                           const std::function<void(packet::Burst&)>& then)
{
    std::vector<std::uint32_t> numbers;
    packet::Burst burst;
    while (numbers.size() < count && is_readable(port.descriptor(queue), 1000)) {
        port.receive(queue, burst);
        for (const packet::Packet& frame : burst) {
            if (frame.size() >= 18 && load16(frame.data() + 12) == test_ether_type) {
                EXPECT_EQ(frame.port(), port_index);
                EXPECT_GE(frame.headroom(), packet::default_headroom);
                numbers.push_back(load32(frame.data() + 14));
            }
        }
        if (then) {
            then(burst);
        }
        burst.clear();
    }
    return numbers;
}

void send_all(port::EthdevPort& port, packet::Burst& burst)
{
    for (int attempt = 0; attempt < 1000 && !burst.empty(); ++attempt) {
        if (port.transmit(0, burst) == 0) {
            ::usleep(1000);
        }
    }
    EXPECT_TRUE(burst.empty());
    burst.clear();
}

void PortLab::SetUp()
{
    if (const std::string reason = missing_privilege(); !reason.empty()) {
        GTEST_SKIP() << reason;
    }
    lab_ = std::make_unique<VethLab>();
    ASSERT_TRUE(lab_->ready());
}

} // namespace sluice::lab
