// How values look in the JSON of the control socket: times, durations, texts that are not UTF-8.
#pragma once

#include <sluice/base/time.hpp>

#include <boost/json/object.hpp>
#include <boost/json/string.hpp>

#include <chrono>
#include <string>
#include <string_view>

namespace sluice::control {

/// "2026-01-31T12:00:00.123Z"
[[nodiscard]] std::string rfc3339(std::chrono::system_clock::time_point time);

[[nodiscard]] inline double seconds(Duration duration) noexcept
{
    return static_cast<double>(std::chrono::duration_cast<std::chrono::milliseconds>(duration).count()) / 1000;
}
[[nodiscard]] inline double microseconds(std::uint64_t nanoseconds) noexcept
{
    return static_cast<double>(nanoseconds) / 1000;
}
[[nodiscard]] inline boost::json::string text(std::string_view text) { return boost::json::string{text}; }

} // namespace sluice::control
