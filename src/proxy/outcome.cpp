#include <sluice/proxy/outcome.hpp>

#include <array>

namespace sluice::proxy {

const OutcomeText& text(Outcome outcome) noexcept
{
    static constexpr std::array<OutcomeText, outcome_count> texts{{
#define SLUICE_OUTCOME(name, side, status, text) {#name, Side::side, status, text},
#include <sluice/proxy/outcomes.def>
#undef SLUICE_OUTCOME
    }};
    return texts[static_cast<std::size_t>(outcome)];
}

std::string_view to_string(Side side) noexcept
{
    switch (side) {
    case Side::client:
        return "client";
    case Side::upstream:
        return "upstream";
    case Side::ours:
        return "ours";
    }
    return "";
}

bool may_retry(const AttemptState& attempt) noexcept
{
    if (text(attempt.outcome).side != Side::upstream || attempt.response_began || attempt.attempts > attempt.retries) {
        return false;
    }
    return attempt.body_replayable && (!attempt.sent_any || attempt.idempotent);
}

} // namespace sluice::proxy
