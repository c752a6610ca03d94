#include <sluice/telemetry/prometheus.hpp>

#include <gtest/gtest.h>

#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <string>

namespace sluice::telemetry {
namespace {

TEST(PrometheusWriter, family_and_samples_have_the_format)
{
    PrometheusWriter writer;
    writer.family("sluice_requests_total", "Requests answered", MetricType::counter);
    writer.sample({{"service", "site"}, {"code", "200"}}, std::uint64_t{17});
    writer.family("sluice_temperature_celsius", "How warm it is", MetricType::gauge);
    writer.sample({}, -0.5);
    writer.sample({{"where", "out"}}, std::int64_t{-3});
    EXPECT_EQ(writer.text(), "# HELP sluice_requests_total Requests answered\n"
                             "# TYPE sluice_requests_total counter\n"
                             "sluice_requests_total{service=\"site\",code=\"200\"} 17\n"
                             "# HELP sluice_temperature_celsius How warm it is\n"
                             "# TYPE sluice_temperature_celsius gauge\n"
                             "sluice_temperature_celsius -0.5\n"
                             "sluice_temperature_celsius{where=\"out\"} -3\n");
}

TEST(PrometheusWriter, special_characters_are_escaped)
{
    PrometheusWriter writer;
    writer.family("sluice_info", "A \\ and a\nbreak and a \"quote\"", MetricType::gauge);
    writer.sample({{"text", "a \\, a \"quote\", a\nbreak"}}, std::uint64_t{1});
    EXPECT_EQ(writer.text(), "# HELP sluice_info A \\\\ and a\\nbreak and a \"quote\"\n"
                             "# TYPE sluice_info gauge\n"
                             "sluice_info{text=\"a \\\\, a \\\"quote\\\", a\\nbreak\"} 1\n");
}

TEST(PrometheusWriter, histogram_is_cumulative_in_base_units)
{
    auto histogram = std::make_unique<Histogram>();
    for (const std::uint64_t value : {500U, 1024U, 1025U, 5'000'000U}) {
        histogram->record(value);
    }
    PrometheusWriter writer;
    writer.family("sluice_turn_duration_seconds", "How long a turn took", MetricType::histogram);
    writer.sample({{"core", "0"}}, histogram->snapshot(), HistogramUnit::nanoseconds, 10, 11);
    EXPECT_EQ(writer.text(), "# HELP sluice_turn_duration_seconds How long a turn took\n"
                             "# TYPE sluice_turn_duration_seconds histogram\n"
                             "sluice_turn_duration_seconds_bucket{core=\"0\",le=\"1.024e-06\"} 2\n"
                             "sluice_turn_duration_seconds_bucket{core=\"0\",le=\"2.048e-06\"} 3\n"
                             "sluice_turn_duration_seconds_bucket{core=\"0\",le=\"+Inf\"} 4\n"
                             "sluice_turn_duration_seconds_sum{core=\"0\"} 0.005002549\n"
                             "sluice_turn_duration_seconds_count{core=\"0\"} 4\n");
}

TEST(Metrics, promtool_finds_nothing_to_complain_about)
{
    if (std::system("command -v promtool >/dev/null") != 0) {
        GTEST_SKIP() << "promtool is not installed (apt-get install prometheus)";
    }
    const auto first = std::make_unique<CoreCounters>();
    const auto second = std::make_unique<CoreCounters>();
    const auto histogram = std::make_unique<Histogram>();
    first->count(Counter::turns, 42);
    second->drop(DropReason::not_ours, 3);
    histogram->record(std::uint64_t{100'000});
    const std::array<const CoreCounters*, 2> cores{first.get(), second.get()};
    PrometheusWriter writer;
    write_counters(writer, cores);
    write_drops(writer, cores);
    writer.family("sluice_turn_duration_seconds", "How long a turn took", MetricType::histogram);
    writer.sample({{"core", "0"}}, histogram->snapshot(), HistogramUnit::nanoseconds, 10, 30);
    EXPECT_NE(writer.text().find("sluice_turns_total{core=\"0\"} 42\n"), std::string::npos);
    EXPECT_NE(writer.text().find("sluice_packets_dropped_total{core=\"1\",reason=\"not_ours\"} 3\n"),
              std::string::npos);

    const std::string path = testing::TempDir() + "sluice-metrics-" + std::to_string(::getpid());
    std::ofstream{path} << writer.text();
    const std::string command = "promtool check metrics < " + path + " 2>&1";
    std::string said;
    std::FILE* pipe = ::popen(command.c_str(), "r");
    ASSERT_NE(pipe, nullptr);
    std::array<char, 512> chunk{};
    while (std::fgets(chunk.data(), static_cast<int>(chunk.size()), pipe) != nullptr) {
        said += chunk.data();
    }
    const int status = ::pclose(pipe);
    std::remove(path.c_str());
    EXPECT_EQ(status, 0) << said;
    EXPECT_EQ(said, "");
}

} // namespace
} // namespace sluice::telemetry
