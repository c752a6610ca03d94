// Neighbour discovery (RFC 4861 §4.3, §4.4) as views over the ICMPv6 message. Any thread.
#pragma once

#include <sluice/wire/headers.hpp>

#include <optional>

namespace sluice::wire {

inline constexpr std::size_t neighbour_message_size = 24; ///< Before the options
inline constexpr std::size_t link_layer_option_size = 8;
inline constexpr std::uint8_t neighbour_hop_limit = 255; ///< Proof that the sender is on the link (RFC 4861 §7.1).

enum class NeighbourOption : std::uint8_t { source_link_layer = 1, target_link_layer = 2 };

/// Solicitation and advertisement share their layout. Needs neighbour_message_size bytes.
template <class Byte>
struct NeighbourView : View<Byte> {
    using View<Byte>::View;
    [[nodiscard]] std::uint8_t type() const noexcept { return load8(this->data_); }
    [[nodiscard]] std::uint8_t code() const noexcept { return load8(this->data_ + 1); }
    [[nodiscard]] IpAddress target() const noexcept { return IpAddress::load_v6(this->data_ + 8); }
    // Flags of an advertisement.
    [[nodiscard]] bool router() const noexcept { return (load8(this->data_ + 4) & 0x80U) != 0; }
    [[nodiscard]] bool solicited() const noexcept { return (load8(this->data_ + 4) & 0x40U) != 0; }
    [[nodiscard]] bool override_cache() const noexcept { return (load8(this->data_ + 4) & 0x20U) != 0; }
    void set(std::uint8_t type, std::uint8_t flags, const IpAddress& target) const noexcept
    {
        store32(this->data_, std::uint32_t{type} << 24U);
        store32(this->data_ + 4, std::uint32_t{flags} << 24U);
        target.store(this->data_ + 8);
    }
};

inline constexpr std::uint8_t neighbour_flag_router = 0x80;
inline constexpr std::uint8_t neighbour_flag_solicited = 0x40;
inline constexpr std::uint8_t neighbour_flag_override = 0x20;

using Neighbour = NeighbourView<const std::byte>;
using MutableNeighbour = NeighbourView<std::byte>;

/// What the options of a neighbour message say.
struct NeighbourOptions {
    std::optional<MacAddress> source_link_layer;
    std::optional<MacAddress> target_link_layer;
};

/// Empty when an option has length 0 or ends behind the message (RFC 4861 §4.6: discard the whole message).
[[nodiscard]] std::optional<NeighbourOptions> parse_neighbour_options(Bytes options) noexcept;

/// Writes an option of link_layer_option_size bytes.
void emit_link_layer_option(std::byte* to, NeighbourOption option, const MacAddress& address) noexcept;

} // namespace sluice::wire
