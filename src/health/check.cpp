#include <sluice/health/check.hpp>

#include <array>
#include <chrono>

namespace sluice::health {
namespace {

struct ReasonText {
    std::string_view name;
    Outcome outcome;
    std::string_view words;
};

constexpr ReasonText reason_texts[] = {
#define SLUICE_HEALTH_REASON(name, outcome, words) {#name, Outcome::outcome, words},
#include <sluice/health/reasons.def>
#undef SLUICE_HEALTH_REASON
};

const ReasonText& row(Reason reason) noexcept { return reason_texts[static_cast<std::size_t>(reason)]; }

/// The largest unit that fits, without fractions: what a person wants at a glance.
std::string age(Duration duration)
{
    using namespace std::chrono;
    if (duration < seconds{1}) {
        return std::to_string(duration_cast<milliseconds>(duration).count()) + "ms";
    }
    if (duration < minutes{2}) {
        return std::to_string(duration_cast<seconds>(duration).count()) + 's';
    }
    if (duration < hours{2}) {
        return std::to_string(duration_cast<minutes>(duration).count()) + 'm';
    }
    if (duration < hours{48}) {
        return std::to_string(duration_cast<hours>(duration).count()) + 'h';
    }
    return std::to_string(duration_cast<hours>(duration).count() / 24) + 'd';
}

} // namespace

Outcome outcome(Reason reason) noexcept { return row(reason).outcome; }

std::string_view name(Reason reason) noexcept { return row(reason).name; }

std::string words(const ProbeResult& result)
{
    std::string text{row(result.reason).words};
    if (result.status != 0) {
        text += ' ' + std::to_string(result.status);
    }
    return text;
}

Decision Check::apply(TimePoint now, const ProbeResult& result) noexcept
{
    const Outcome said = outcome(result.reason);
    last_ = result;
    if (said == Outcome::inconclusive) {
        ++inconclusive_;
        return {.changed = false, .from = status_, .to = status_, .cause = result};
    }
    const Status wanted = said == Outcome::success ? Status::up : Status::down;
    if (wanted == status_) {
        against_ = 0;
        return {.changed = false, .from = status_, .to = status_, .cause = result};
    }
    const std::uint16_t needed = wanted == Status::up ? settings_.rise : settings_.fall;
    ++against_;
    doubt_ = result;
    if (status_ != Status::checking && against_ < needed) {
        return {.changed = false, .from = status_, .to = status_, .cause = result};
    }
    const Status before = status_;
    status_ = wanted;
    against_ = 0;
    since_ = now;
    cause_ = result;
    return {.changed = true, .from = before, .to = wanted, .cause = result};
}

std::string_view text(Status status) noexcept
{
    switch (status) {
    case Status::unchecked:
        return "unchecked";
    case Status::checking:
        return "checking";
    case Status::up:
        return "up";
    case Status::down:
        return "down";
    }
    return "unknown";
}

std::string describe(const Check& check, TimePoint now)
{
    std::string result = std::string{text(check.status())} + " for " + age(now - check.since());
    if (check.status() == Status::down) {
        result += ": " + words(check.cause());
    }
    if (check.against() > 0) {
        const bool rising = check.status() == Status::down;
        result += ", " + std::to_string(check.against()) + " of " +
                  std::to_string(rising ? check.settings().rise : check.settings().fall) +
                  (rising ? " successes" : " failures: " + words(check.doubt()));
    }
    return result;
}

} // namespace sluice::health
