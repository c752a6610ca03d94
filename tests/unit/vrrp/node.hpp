// A node's VRRP with everything it asked for written down, and adverts to feed it with.
#pragma once

#include <sluice/vrrp/manager.hpp>
#include <sluice/vrrp/timers.hpp>
#include <sluice/wire/parse.hpp>

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace sluice::vrrp::test {

using namespace std::chrono_literals;

inline wire::IpAddress address(std::string_view text) { return wire::IpAddress::parse(text).value(); }

inline std::vector<std::byte> from_hex(std::string_view text)
{
    std::vector<std::byte> bytes;
    std::string digits;
    for (const char character : text) {
        if (character != ' ') {
            digits += character;
        }
    }
    for (std::size_t index = 0; index + 1 < digits.size(); index += 2) {
        bytes.push_back(static_cast<std::byte>(std::stoul(digits.substr(index, 2), nullptr, 16)));
    }
    return bytes;
}

inline std::string to_hex(Bytes bytes)
{
    static constexpr char digits[] = "0123456789abcdef";
    std::string text;
    for (const std::byte byte : bytes) {
        text += digits[std::to_integer<unsigned>(byte) >> 4U];
        text += digits[std::to_integer<unsigned>(byte) & 15U];
    }
    return text;
}

/// An advert that was sent: what matters of its frame.
struct Sent {
    std::uint8_t vrid = 0;
    std::uint8_t priority = 0;
    wire::IpAddress source;
    std::vector<std::byte> frame;
};

class Recorder final : public Output {
public:
    void send(std::uint8_t, Bytes frame) noexcept override
    {
        wire::ParsedPacket parsed;
        const bool accepted = !wire::parse_frame(frame, parsed).has_value();
        const wire::VrrpView view{frame.subspan(parsed.transport_offset, parsed.transport_size())};
        sent.push_back({view.vrid(), view.priority(), parsed.source, {frame.begin(), frame.end()}});
        malformed = malformed || !accepted;
        log.push_back("send " + std::to_string(view.priority()));
    }
    void set_address(std::uint8_t, const wire::IpAddress& which, const wire::MacAddress&,
                     Ownership ownership) noexcept override
    {
        if (ownership == Ownership::absent) {
            addresses.erase(which.to_string());
        } else {
            addresses[which.to_string()] = ownership;
        }
        log.push_back("address");
    }
    void announce(std::uint8_t, const wire::IpAddress& which, const wire::MacAddress& mac) noexcept override
    {
        announced.push_back(which.to_string() + ' ' + mac.to_string());
        log.push_back("announce");
    }
    void report(const Event& event) noexcept override
    {
        std::string line{name(event.kind)};
        if (event.kind == Event::Kind::transition) {
            line += ' ' + std::string{name(event.from)} + ' ' + std::string{name(event.to)} + ' ' +
                    std::string{name(event.reason)};
        }
        if (event.kind == Event::Kind::priority_changed) {
            line += ' ' + std::to_string(event.priority);
        }
        events.push_back(line);
    }

    std::vector<Sent> sent;
    std::map<std::string, Ownership> addresses;
    std::vector<std::string> announced;
    std::vector<std::string> events;
    std::vector<std::string> log;
    bool malformed = false;

    void clear()
    {
        sent.clear();
        announced.clear();
        events.clear();
        log.clear();
    }
};

inline Parameters instance(std::uint8_t priority = 100)
{
    Parameters parameters;
    parameters.name = "public";
    parameters.vrid = 51;
    parameters.priority = priority;
    parameters.advert_interval = 100ms;
    parameters.source = address("192.0.2.2");
    parameters.addresses = {address("192.0.2.100")};
    return parameters;
}

/// One node in virtual time.
class Node {
public:
    explicit Node(std::vector<Parameters> instances, std::vector<TrackedState> tracked = {})
    {
        manager.replace(std::make_shared<Table>(std::move(instances), std::move(tracked)), now);
    }
    explicit Node(Parameters only) : Node{std::vector{std::move(only)}} {}

    void start() { manager.set_ready(true, now); }
    /// Lets time pass in small turns with empty queues.
    void run(Duration duration, Duration turn = 1ms)
    {
        const TimePoint end = now + duration;
        while (now < end) {
            now = std::min(end, now + turn);
            manager.mail_read(now);
            manager.advance(now);
        }
    }
    /// One advert from a peer; `from` also chooses the family.
    void hear(std::uint8_t priority, std::string_view from = "192.0.2.1", std::uint16_t centiseconds = 10,
              std::vector<wire::IpAddress> addresses = {}, bool pseudo = true, std::uint8_t vrid = 51,
              std::uint8_t port = 0)
    {
        const wire::IpAddress source = address(from);
        const wire::IpAddress group = wire::vrrp_group(source.is_v6());
        if (addresses.empty()) {
            addresses.push_back(address(source.is_v6() ? "fe80::100" : "192.0.2.100"));
        }
        std::vector<std::byte> message(wire::vrrp_length(addresses.size(), source.is_v6()));
        wire::emit_vrrp(message.data(), {vrid, priority, centiseconds, addresses}, source, group,
                        pseudo || source.is_v6());
        manager.input({port, 255, source, group, message}, now);
    }
    [[nodiscard]] State state(std::size_t group = 0) const { return manager.table().groups()[group].state(); }
    [[nodiscard]] const Member& member(std::size_t group = 0, std::size_t index = 0) const
    {
        return manager.table().groups()[group].members()[index];
    }
    [[nodiscard]] bool holds(const std::string& which) const
    {
        const auto found = output.addresses.find(which);
        return found != output.addresses.end() && found->second == Ownership::active;
    }
    void become_active()
    {
        start();
        run(400ms);
        output.clear();
    }

    TimePoint now{1000s};
    Recorder output;
    telemetry::CoreCounters counters;
    Manager manager{output, counters};
};

} // namespace sluice::vrrp::test
