// The Prometheus text exposition format 0.0.4, written to the conventions that `promtool check metrics` holds one to.
// Readers' threads only (the admin page); allocates.
#pragma once

#include <sluice/telemetry/counters.hpp>
#include <sluice/telemetry/histogram.hpp>

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace sluice::telemetry {

enum class MetricType : std::uint8_t { counter, gauge, histogram };

struct Label {
    std::string_view name;
    std::string_view value;
};
using Labels = std::initializer_list<Label>;

/// What the recorded integers mean, and the base unit they are exposed in.
enum class HistogramUnit : std::uint8_t { nanoseconds, bytes };

/// Appends metric families to a text. A family is opened once, and all its samples follow.
class PrometheusWriter {
public:
    /// `name` is complete: counters end in `_total`, units are base units in plural (`_seconds`, `_bytes`).
    void family(std::string_view name, std::string_view help, MetricType type);

    /// Samples of the family opened last; labels in a fixed order.
    void sample(Labels labels, std::uint64_t value);
    void sample(Labels labels, std::int64_t value);
    void sample(Labels labels, double value);
    /// `_bucket` for the powers of two from 2^first_bits to 2^last_bits, `_sum`, `_count`.
    void sample(Labels labels, const HistogramSnapshot& value, HistogramUnit unit, unsigned first_bits,
                unsigned last_bits);

    [[nodiscard]] const std::string& text() const noexcept { return text_; }
    [[nodiscard]] std::string take() noexcept { return std::move(text_); }

private:
    void line(std::string_view suffix, Labels labels, const Label* extra, std::string_view value);
    void label(const Label& label, bool& first);

    std::string text_;
    std::string name_;
};

/// `sluice_<counter>_total{core="N"}` for every row of counters.def.
void write_counters(PrometheusWriter& writer, std::span<const CoreCounters* const> cores);
/// `sluice_packets_dropped_total{core="N",reason="R"}` for every row of drop_reasons.def.
void write_drops(PrometheusWriter& writer, std::span<const CoreCounters* const> cores);

} // namespace sluice::telemetry
