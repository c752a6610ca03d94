#include <sluice/telemetry/counters.hpp>
#include <sluice/telemetry/reference.hpp>

namespace sluice::telemetry {
namespace {

void append_cell(std::string& page, std::string_view text)
{
    page += ' ';
    for (const char letter : text) {
        if (letter == '|') {
            page += '\\'; // A bar would end the cell.
        }
        page += letter;
    }
    page += " |";
}

} // namespace

std::string drop_reasons_page()
{
    std::string page =
        "# Drop reasons\n\n"
        "Every packet that the data plane drops is counted under exactly one of these reasons: `sluicectl drops`, and\n"
        "`sluice_packets_dropped_total{core, reason}` in the metrics. This page is written from\n"
        "`include/sluice/telemetry/drop_reasons.def`, and a test compares the two.\n\n"
        "| reason | what it means | what to do |\n|---|---|---|\n";
    for (std::size_t index = 0; index < drop_reason_count; ++index) {
        const DropReasonText& reason = text(static_cast<DropReason>(index));
        page += "| `" + std::string{reason.name} + "` |";
        append_cell(page, reason.meaning);
        append_cell(page, reason.advice);
        page += '\n';
    }
    return page;
}

std::string counters_page()
{
    std::string page =
        "# Counters\n\n"
        "Each core counts for itself; `sluicectl cores` shows them and the metrics carry a label `core`. They survive "
        "a\n"
        "reload. This page is written from `include/sluice/telemetry/counters.def`, and a test compares the two.\n\n"
        "| metric | what it counts |\n|---|---|\n";
    for (std::size_t index = 0; index < counter_count; ++index) {
        const CounterText& counter = text(static_cast<Counter>(index));
        page += "| `sluice_" + std::string{counter.name} + "_total` |";
        append_cell(page, counter.help);
        page += '\n';
    }
    return page;
}

} // namespace sluice::telemetry
