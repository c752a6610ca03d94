// Any bytes as an advert: the checks either refuse them, or what they accept lies within the message and drives a node
// without breaking its rules.
#include <sluice/vrrp/manager.hpp>

#include <cstdint>
#include <cstdlib>
#include <memory>

namespace {

using namespace sluice;

class Discard final : public vrrp::Output {
public:
    void send(std::uint8_t, Bytes frame) noexcept override
    {
        if (frame.size() > 1514) {
            std::abort();
        }
    }
    void set_address(std::uint8_t, const wire::IpAddress&, const wire::MacAddress&, vrrp::Ownership) noexcept override
    {
    }
    void announce(std::uint8_t, const wire::IpAddress&, const wire::MacAddress&) noexcept override {}
    void report(const vrrp::Event&) noexcept override {}
};

} // namespace

// Input: one byte of choices (bit 0: IPv6, bit 1: active, bit 2: a wrong hop limit), then the message.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    if (size == 0) {
        return 0;
    }
    const bool ipv6 = (data[0] & 1U) != 0;
    vrrp::Received received;
    received.hop_limit = (data[0] & 4U) != 0 ? 64 : 255;
    received.source = ipv6 ? *wire::IpAddress::parse("fe80::1") : *wire::IpAddress::parse("192.0.2.1");
    received.destination = wire::vrrp_group(ipv6);
    received.message = std::as_bytes(std::span{data + 1, size - 1});

    vrrp::Parameters parameters;
    parameters.name = "fuzz";
    parameters.vrid = 51;
    parameters.source = ipv6 ? *wire::IpAddress::parse("fe80::2") : *wire::IpAddress::parse("192.0.2.2");
    parameters.addresses = {ipv6 ? *wire::IpAddress::parse("fe80::100") : *wire::IpAddress::parse("192.0.2.100")};

    const auto advert = vrrp::check(received);
    if (advert) {
        for (std::size_t index = 0; index < advert->view.address_count(); ++index) {
            const volatile bool read = advert->view.address(index, ipv6).is_v4();
            static_cast<void>(read);
        }
        if (advert->interval <= Duration{0} || advert->view.address_count() == 0 || received.hop_limit != 255) {
            std::abort();
        }
    }
    Discard output;
    telemetry::CoreCounters counters;
    vrrp::Manager manager{output, counters};
    TimePoint now{std::chrono::seconds{1}};
    static_cast<void>(manager.replace(
        std::make_shared<vrrp::Table>(std::vector{parameters}, std::vector<vrrp::TrackedState>{}), now));
    manager.set_ready(true, now);
    if ((data[0] & 2U) != 0) {
        now += std::chrono::seconds{10};
        manager.mail_read(now);
        manager.advance(now);
    }
    manager.input(received, now);
    manager.mail_read(now);
    manager.advance(now);
    if (manager.next_deadline() <= now) {
        std::abort(); // A timer that is due at once for ever would spin the core.
    }
    return 0;
}
