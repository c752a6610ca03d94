#include <sluice/telemetry/prometheus.hpp>

#include <array>
#include <charconv>
#include <cmath>
#include <utility>

namespace sluice::telemetry {
namespace {

std::string_view type_text(MetricType type) noexcept
{
    switch (type) {
    case MetricType::counter:
        return "counter";
    case MetricType::gauge:
        return "gauge";
    case MetricType::histogram:
        return "histogram";
    }
    return "untyped";
}

/// The shortest text that reads back as the same number; the format's words for what is none.
std::string number(double value)
{
    if (std::isnan(value)) {
        return "NaN";
    }
    if (std::isinf(value)) {
        return value > 0 ? "+Inf" : "-Inf";
    }
    std::array<char, 32> text{};
    const auto result = std::to_chars(text.data(), text.data() + text.size(), value);
    return {text.data(), result.ptr};
}

/// In help texts and label values; quotes only matter in the latter.
void append_escaped(std::string& text, std::string_view value, bool escape_quotes)
{
    for (const char letter : value) {
        if (letter == '\\') {
            text += "\\\\";
        } else if (letter == '\n') {
            text += "\\n";
        } else if (letter == '"' && escape_quotes) {
            text += "\\\"";
        } else {
            text += letter;
        }
    }
}

} // namespace

void PrometheusWriter::family(std::string_view name, std::string_view help, MetricType type)
{
    name_ = name;
    text_.append("# HELP ").append(name).append(" ");
    append_escaped(text_, help, false);
    text_.append("\n# TYPE ").append(name).append(" ").append(type_text(type)).append("\n");
}

void PrometheusWriter::sample(Labels labels, std::uint64_t value) { line("", labels, nullptr, std::to_string(value)); }

void PrometheusWriter::sample(Labels labels, std::int64_t value) { line("", labels, nullptr, std::to_string(value)); }

void PrometheusWriter::sample(Labels labels, double value) { line("", labels, nullptr, number(value)); }

void PrometheusWriter::sample(Labels labels, const HistogramSnapshot& value, HistogramUnit unit, unsigned first_bits,
                              unsigned last_bits)
{
    const double scale = unit == HistogramUnit::nanoseconds ? 1e9 : 1.0;
    for (unsigned bits = first_bits; bits <= last_bits; ++bits) {
        const std::string bound = number(static_cast<double>(std::uint64_t{1} << bits) / scale);
        const Label label{"le", bound};
        line("_bucket", labels, &label, std::to_string(value.count_up_to_power(bits)));
    }
    const Label infinity{"le", "+Inf"};
    line("_bucket", labels, &infinity, std::to_string(value.count()));
    line("_sum", labels, nullptr, number(static_cast<double>(value.sum()) / scale));
    line("_count", labels, nullptr, std::to_string(value.count()));
}

void PrometheusWriter::line(std::string_view suffix, Labels labels, const Label* extra, std::string_view value)
{
    text_.append(name_).append(suffix);
    bool first = true;
    for (const Label& each : labels) {
        label(each, first);
    }
    if (extra != nullptr) {
        label(*extra, first);
    }
    text_.append(first ? " " : "} ").append(value).append("\n");
}

void PrometheusWriter::label(const Label& label, bool& first)
{
    text_.append(first ? "{" : ",").append(label.name).append("=\"");
    append_escaped(text_, label.value, true);
    text_.append("\"");
    first = false;
}

void write_counters(PrometheusWriter& writer, std::span<const CoreCounters* const> cores)
{
    for (std::size_t index = 0; index < counter_count; ++index) {
        const auto counter = static_cast<Counter>(index);
        writer.family("sluice_" + std::string{text(counter).name} + "_total", text(counter).help, MetricType::counter);
        for (std::size_t core = 0; core < cores.size(); ++core) {
            writer.sample({{"core", std::to_string(core)}}, cores[core]->get(counter));
        }
    }
}

void write_drops(PrometheusWriter& writer, std::span<const CoreCounters* const> cores)
{
    writer.family("sluice_packets_dropped_total",
                  "Packets dropped, by reason; docs/drop-reasons.md says what to do about each", MetricType::counter);
    for (std::size_t core = 0; core < cores.size(); ++core) {
        for (std::size_t index = 0; index < drop_reason_count; ++index) {
            const auto reason = static_cast<DropReason>(index);
            writer.sample({{"core", std::to_string(core)}, {"reason", text(reason).name}}, cores[core]->get(reason));
        }
    }
}

} // namespace sluice::telemetry
