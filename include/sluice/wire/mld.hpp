// Multicast listener discovery version 2 (RFC 9777, formerly RFC 3810): the listener's reports. Any thread.
#pragma once

#include <sluice/base/time.hpp>
#include <sluice/wire/headers.hpp>

#include <span>

namespace sluice::wire {

enum class MldRecord : std::uint8_t {
    mode_is_exclude = 2,   ///< Answer to a query: listening to all sources
    change_to_include = 3, ///< Left (with no sources)
    change_to_exclude = 4, ///< Joined
};

inline constexpr std::size_t mld_report_header_size = 8;
inline constexpr std::size_t mld_record_size = 20; ///< Without sources
inline constexpr std::size_t mld_query_size = 24;  ///< Version 1; version 2 has at least 4 more

[[nodiscard]] constexpr std::size_t mld_report_size(std::size_t groups) noexcept
{
    return mld_report_header_size + groups * mld_record_size;
}

/// Writes a report of mld_report_size() bytes without its checksum.
void emit_mld_report(std::byte* to, MldRecord record, std::span<const IpAddress> groups) noexcept;

/// What a query's Maximum Response Code allows (RFC 9777 §5.1.3): milliseconds, above 32767 as a float.
[[nodiscard]] Duration mld_response_delay(std::uint16_t code) noexcept;

/// ff02::16, where version 2 reports go.
[[nodiscard]] IpAddress mld_routers() noexcept;

} // namespace sluice::wire
