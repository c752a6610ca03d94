#include <sluice/telemetry/counters.hpp>

namespace sluice::telemetry {
namespace {

constexpr DropReasonText drop_texts[] = {
#define SLUICE_DROP(name, meaning, advice) {#name, meaning, advice},
#include <sluice/telemetry/drop_reasons.def>
#undef SLUICE_DROP
};

constexpr CounterText counter_texts[] = {
#define SLUICE_COUNTER(name, help) {#name, help},
#include <sluice/telemetry/counters.def>
#undef SLUICE_COUNTER
};

} // namespace

const DropReasonText& text(DropReason reason) noexcept { return drop_texts[static_cast<std::size_t>(reason)]; }
const CounterText& text(Counter counter) noexcept { return counter_texts[static_cast<std::size_t>(counter)]; }

} // namespace sluice::telemetry
