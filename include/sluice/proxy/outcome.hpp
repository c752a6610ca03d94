// How a request ended: the layer 7 error idiom. An outcome knows whose doing it was and which answer it deserves;
// whether a retry is safe depends on the request too and is decided by may_retry().
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace sluice::proxy {

enum class Side : std::uint8_t { client, upstream, ours };

enum class Outcome : std::uint8_t {
#define SLUICE_OUTCOME(name, side, status, text) name,
#include <sluice/proxy/outcomes.def>
#undef SLUICE_OUTCOME
};

inline constexpr std::size_t outcome_count = 0
#define SLUICE_OUTCOME(name, side, status, text) +1
#include <sluice/proxy/outcomes.def>
#undef SLUICE_OUTCOME
    ;

struct OutcomeText {
    std::string_view name;
    Side side;
    std::uint16_t status; ///< For the client; 499 is only logged, 0 means that no answer is possible.
    std::string_view text;
};

[[nodiscard]] const OutcomeText& text(Outcome outcome) noexcept;
[[nodiscard]] std::string_view to_string(Side side) noexcept;

/// What is known about a request when an attempt on a server has failed.
struct AttemptState {
    Outcome outcome = Outcome::none;
    bool sent_any = false;        ///< A byte of the request may have reached the server.
    bool response_began = false;  ///< A byte of a response came.
    bool idempotent = false;      ///< RFC 9110 section 9.2.2
    bool body_replayable = false; ///< There is no body, or all of it that was taken from the client is still held.
    std::uint32_t attempts = 0;   ///< Made so far, this one included.
    std::uint32_t retries = 0;    ///< Allowed after the first.
};

/// Whether another attempt may be made: the failure is the server's, attempts are left, nothing of a response came, and
/// either nothing of the request was sent or sending it twice does no harm.
[[nodiscard]] bool may_retry(const AttemptState& attempt) noexcept;

} // namespace sluice::proxy
