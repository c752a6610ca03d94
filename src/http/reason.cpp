#include <sluice/http/reason.hpp>

namespace sluice::http {

static constexpr std::array<ReasonText, reason_count> texts{{
#define SLUICE_HTTP_REASON(name, status, text) {#name, status, text},
#include <sluice/http/reasons.def>
#undef SLUICE_HTTP_REASON
}};

const ReasonText& text(Reason reason) noexcept { return texts[static_cast<std::size_t>(reason)]; }

} // namespace sluice::http
