// Why a message was refused. One table (reasons.def) feeds the answers, the counters, the metrics and the
// documentation.
#pragma once

#include <sluice/telemetry/counters.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace sluice::http {

enum class Reason : std::uint8_t {
#define SLUICE_HTTP_REASON(name, status, text) name,
#include <sluice/http/reasons.def>
#undef SLUICE_HTTP_REASON
};

inline constexpr std::size_t reason_count = 0
#define SLUICE_HTTP_REASON(name, status, text) +1
#include <sluice/http/reasons.def>
#undef SLUICE_HTTP_REASON
    ;

struct ReasonText {
    std::string_view name;    ///< snake_case, as in metrics and access records.
    std::uint16_t status = 0; ///< The answer to a client; 0: none is possible.
    std::string_view text;
};

[[nodiscard]] const ReasonText& text(Reason reason) noexcept;
[[nodiscard]] inline std::string_view name(Reason reason) noexcept { return text(reason).name; }
[[nodiscard]] inline std::uint16_t status_of(Reason reason) noexcept { return text(reason).status; }

/// How often each reason occurred on one worker. Written by that worker alone, read by any thread.
class ReasonCounters {
public:
    void count(Reason reason) noexcept { cells_[static_cast<std::size_t>(reason)].add(); }
    [[nodiscard]] std::uint64_t get(Reason reason) const noexcept
    {
        return cells_[static_cast<std::size_t>(reason)].get();
    }

private:
    alignas(64) std::array<telemetry::Cell, reason_count> cells_{};
};

} // namespace sluice::http
