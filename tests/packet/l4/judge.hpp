// An independent reading of frames: checksums summed byte by byte over the whole packet, sharing no code with the
// module that updated them.
#pragma once

#include <support/frames.hpp>

#include <string>

namespace sluice::test {

namespace judge_detail {

inline std::uint8_t byte(const Frame& frame, std::size_t at) { return static_cast<std::uint8_t>(frame.at(at)); }

inline std::uint32_t sum(const Frame& frame, std::size_t from, std::size_t to)
{
    std::uint32_t total = 0;
    for (std::size_t at = from; at < to; ++at) {
        total += (at - from) % 2 == 0 ? std::uint32_t{byte(frame, at)} << 8U : byte(frame, at);
    }
    return total;
}

inline bool all_ones(std::uint32_t total)
{
    while (total > 0xffff) {
        total = (total & 0xffffU) + (total >> 16U);
    }
    return total == 0xffff;
}

inline std::string judge_ip(const Frame& frame, std::size_t at, bool quoted);

inline std::string judge_transport(const Frame& frame, std::size_t at, std::size_t end, std::uint8_t protocol,
                                   std::uint32_t pseudo)
{
    switch (protocol) {
    case 4:
    case 41:
        return judge_ip(frame, at, false);
    case 47:
        return judge_ip(frame, at + 4, false);
    default:
        break;
    }
    const std::size_t length = end - at;
    const std::uint32_t covered = pseudo + protocol + static_cast<std::uint32_t>(length);
    switch (protocol) {
    case 6:
        return all_ones(covered + sum(frame, at, end)) ? "" : "TCP checksum wrong";
    case 17: {
        const bool none = byte(frame, at + 6) == 0 && byte(frame, at + 7) == 0;
        if (!none && !all_ones(covered + sum(frame, at, end))) {
            return "UDP checksum wrong";
        }
        return byte(frame, at + 2) == 0x17 && byte(frame, at + 3) == 0xc0 ? judge_ip(frame, at + 12, false) : "";
    }
    case 1: {
        if (!all_ones(sum(frame, at, end))) {
            return "ICMP checksum wrong";
        }
        const std::uint8_t type = byte(frame, at);
        return type == 3 || type == 11 || type == 12 ? judge_ip(frame, at + 8, true) : "";
    }
    case 58:
        if (!all_ones(covered + sum(frame, at, end))) {
            return "ICMPv6 checksum wrong";
        }
        return byte(frame, at) < 128 ? judge_ip(frame, at + 8, true) : "";
    default:
        return "unknown protocol";
    }
}

/// A quoted packet may be cut; its transport checksum is judged when all of it is there.
inline std::string judge_ip(const Frame& frame, std::size_t at, bool quoted)
{
    const unsigned version = byte(frame, at) >> 4U;
    std::size_t transport = 0;
    std::size_t end = 0;
    std::uint8_t protocol = 0;
    std::uint32_t pseudo = 0;
    bool fragment = false;
    if (version == 4) {
        transport = at + (byte(frame, at) & 0xfU) * std::size_t{4};
        end = at + (std::size_t{byte(frame, at + 2)} << 8U) + byte(frame, at + 3);
        protocol = byte(frame, at + 9);
        fragment = (byte(frame, at + 6) & 0x3fU) != 0 || byte(frame, at + 7) != 0;
        if (!all_ones(sum(frame, at, transport))) {
            return "IPv4 header checksum wrong";
        }
        pseudo = sum(frame, at + 12, at + 20);
    } else if (version == 6) {
        transport = at + 40;
        end = transport + (std::size_t{byte(frame, at + 4)} << 8U) + byte(frame, at + 5);
        protocol = byte(frame, at + 6);
        if (protocol == 44) {
            protocol = byte(frame, transport);
            transport += 8;
            fragment = true;
        }
        pseudo = sum(frame, at + 8, at + 40);
    } else {
        return "neither IPv4 nor IPv6";
    }
    if (end > frame.size()) {
        return quoted ? "" : "frame shorter than its IP packet";
    }
    if (!quoted && end != frame.size()) {
        return "frame longer than its IP packet";
    }
    return fragment ? "" : judge_transport(frame, transport, end, protocol, pseudo);
}

} // namespace judge_detail

/// Empty when every length and checksum of an untagged frame is right, else what is wrong.
inline std::string judge(const Frame& frame) { return judge_detail::judge_ip(frame, 14, false); }

} // namespace sluice::test
