// Adverts on the wire: the checks of RFC 9568 §7.1 on what came, and the frames that go out. Pure; any core.
#pragma once

#include <sluice/base/result.hpp>
#include <sluice/telemetry/counters.hpp>
#include <sluice/vrrp/types.hpp>
#include <sluice/wire/vrrp.hpp>

#include <array>

namespace sluice::vrrp {

/// An IP packet of protocol 112 as the forwarder received it.
struct Received {
    std::uint8_t port = 0;
    std::uint8_t hop_limit = 0;
    wire::IpAddress source;
    wire::IpAddress destination;
    Bytes message; ///< The IP payload by the IP header's length: Ethernet pads short frames
};

enum class ChecksumKind : std::uint8_t { rfc9568, pseudo };

/// A valid advert.
struct Advert {
    wire::VrrpView view;
    wire::IpAddress source;
    std::uint8_t vrid = 0;
    std::uint8_t priority = 0;
    Duration interval{};
    ChecksumKind checksum = ChecksumKind::pseudo;

    [[nodiscard]] bool ipv6() const noexcept { return source.is_v6(); }
};

/// The checks that need no instance, in this order: hop limit, version, complete length, type, checksum, count,
/// interval.
[[nodiscard]] Expected<Advert, telemetry::DropReason> check(const Received& received) noexcept;

/// Largest frame: an Ethernet header and 1500 bytes.
using FrameBuffer = std::array<std::byte, 1514>;

/// The complete frame of an instance's advert: source MAC Parameters::mac(), hop limit 255, traffic class 0xC0.
[[nodiscard]] Bytes build_frame(const Parameters& parameters, std::uint8_t priority, ChecksumKind checksum,
                                FrameBuffer& buffer) noexcept;

} // namespace sluice::vrrp
