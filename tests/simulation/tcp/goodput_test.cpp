// How long bulk transfers take over wires of several kinds, in virtual time and from seeds. The distribution is
// printed: it is what a change of loss recovery or of congestion control is compared by. SLUICE_TRANSFERS=N for more of
// each.
#include "wire.hpp"

#include <boost/asio/error.hpp>

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <string_view>

namespace sluice::simulation {
namespace {

using namespace std::chrono_literals;
using tcp::ErrorCode;
using testing::TcpHost;

struct Condition {
    std::string_view name;
    std::uint32_t loss; ///< Of a million, each direction
    std::uint32_t reorder;
    std::uint32_t duplicate;
    Duration delay; ///< One way
    Duration reorder_delay;
    double longest_median_seconds;
    double most_timeouts; ///< Per transfer, in the middle
};

struct Outcome {
    double seconds = 0;
    double timeouts = 0;
    double sent_again = 0;
    bool whole = false;
};

constexpr std::size_t transfer_size = 1U << 20U;

Outcome transfer(const Condition& condition, tcp::CongestionControl algorithm, std::uint64_t seed,
                 const tcp::ConnectionOptions& connection = {})
{
    FakeClock clock;
    tcp::StackOptions options;
    options.congestion_control = algorithm;
    TcpHost left{clock, wire::IpAddress::v4(0x0a000001), seed * 2 + 1, options};
    TcpHost right{clock, wire::IpAddress::v4(0x0a000002), seed * 2 + 2, options};
    WireOptions faults;
    faults.loss = condition.loss;
    faults.reorder = condition.reorder;
    faults.duplicate = condition.duplicate;
    faults.delay = condition.delay;
    faults.jitter = condition.delay / 10;
    faults.reorder_delay = condition.reorder_delay;
    Wire link{clock, left, right, faults, seed};

    const std::vector<std::byte> content(transfer_size, std::byte{'x'});
    std::vector<std::byte> buffer(65536);
    std::size_t received = 0;
    bool ended = false;
    std::optional<tcp::Stream> source;
    std::optional<tcp::Stream> sink;
    std::size_t written = 0;
    std::function<void()> write = [&] {
        if (written == content.size()) {
            source->shutdown_send();
            return;
        }
        source->async_write_some(boost::asio::buffer(content.data() + written, content.size() - written),
                                 [&](ErrorCode error, std::size_t count) {
                                     if (!error) {
                                         written += count;
                                         write();
                                     }
                                 });
    };
    std::function<void()> read = [&] {
        sink->async_read_some(boost::asio::buffer(buffer), [&](ErrorCode error, std::size_t count) {
            received += count;
            ended = static_cast<bool>(error);
            if (!ended) {
                read();
            }
        });
    };
    tcp::ListenOptions listen;
    listen.connection = connection;
    EXPECT_TRUE(right.stack.listen({right.address, 80}, listen, [&](tcp::Stream accepted) {
        sink.emplace(std::move(accepted));
        read();
    }));
    left.stack.async_connect({left.address, 0}, {right.address, 80}, connection,
                             [&](ErrorCode error, tcp::Stream connected) {
                                 if (!error) {
                                     source.emplace(std::move(connected));
                                     write();
                                 }
                             });
    const TimePoint begin = clock.now();
    const bool fine = link.run_until(begin + 1h, [&] { return ended; });
    Outcome outcome;
    outcome.seconds = std::chrono::duration<double>(clock.now() - begin).count();
    outcome.timeouts = static_cast<double>(left.counters.get(telemetry::Counter::tcp_timeouts));
    outcome.sent_again = static_cast<double>(left.counters.get(telemetry::Counter::tcp_segments_retransmitted));
    outcome.whole = fine && received == content.size();
    return outcome;
}

double quantile(std::vector<double> values, double part)
{
    std::sort(values.begin(), values.end());
    return values[std::min(values.size() - 1, static_cast<std::size_t>(part * static_cast<double>(values.size())))];
}

struct Goodput : ::testing::TestWithParam<Condition> {
    static void measure(const Condition& condition, tcp::CongestionControl algorithm)
    {
        const std::uint64_t one = number("SLUICE_SEED", 0);
        const std::uint64_t last = one != 0 ? one : number("SLUICE_TRANSFERS", 40);
        ASSERT_GE(last, one != 0 ? one : 1) << "nothing was measured";
        std::vector<double> seconds;
        std::vector<double> timeouts;
        std::vector<double> again;
        for (std::uint64_t seed = one != 0 ? one : 1; seed <= last; ++seed) {
            const Outcome outcome = transfer(condition, algorithm, seed);
            ASSERT_TRUE(outcome.whole) << "seed " << seed;
            seconds.push_back(outcome.seconds);
            timeouts.push_back(outcome.timeouts);
            again.push_back(outcome.sent_again);
        }
        const char* const name = algorithm == tcp::CongestionControl::cubic ? "cubic" : "newreno";
        std::printf("%-22s %-7s s: p10 %.3f p50 %.3f p90 %.3f max %.3f  timeouts: p50 %.0f p90 %.0f  again: p50 %.0f\n",
                    std::string{condition.name}.c_str(), name, quantile(seconds, 0.1), quantile(seconds, 0.5),
                    quantile(seconds, 0.9), quantile(seconds, 1), quantile(timeouts, 0.5), quantile(timeouts, 0.9),
                    quantile(again, 0.5));
        EXPECT_LE(quantile(seconds, 0.5), condition.longest_median_seconds) << name;
        EXPECT_LE(quantile(timeouts, 0.5), condition.most_timeouts) << name;
    }
};

TEST_P(Goodput, of_a_mebibyte_stays_within_its_bound)
{
    measure(GetParam(), tcp::CongestionControl::newreno);
    measure(GetParam(), tcp::CongestionControl::cubic);
}

INSTANTIATE_TEST_SUITE_P(Wires, Goodput,
                         ::testing::Values(Condition{"clean_20ms", 0, 0, 0, 10ms, 0ms, 0.3, 0},
                                           Condition{"loss_1_20ms", 10'000, 0, 0, 10ms, 0ms, 1.4, 0},
                                           Condition{"loss_2_reorder_1_1ms", 20'000, 10'000, 10'000, 500us, 1ms, 0.11,
                                                     0},
                                           Condition{"loss_2_reorder_1_20ms", 20'000, 10'000, 10'000, 10ms, 10ms, 2, 0},
                                           Condition{"loss_5_20ms", 50'000, 0, 0, 10ms, 0ms, 3.8, 1},
                                           Condition{"loss_10_20ms", 100'000, 0, 0, 10ms, 0ms, 8.5, 8},
                                           Condition{"reorder_10_20ms", 0, 100'000, 0, 10ms, 5ms, 0.3, 0},
                                           Condition{"loss_0_1_80ms", 1'000, 0, 0, 40ms, 0ms, 1.2, 0}),
                         [](const auto& one) { return std::string{one.param.name}; });

// The snapshot says what a change did to which wire. It is exact: nothing here knows a real clock.
TEST(GoodputTable, is_the_one_of_the_document)
{
    std::string table =
        "| send and receive buffer | loss | round trip 1 ms | 20 ms | 100 ms |\n|---|---|---|---|---|\n";
    for (const std::uint32_t kibibytes : {64U, 256U, 1024U}) {
        for (const std::uint32_t loss : {0U, 1'000U, 10'000U, 30'000U}) {
            table += "| " + std::to_string(kibibytes) + " KiB | " + std::to_string(loss / 10'000) + "." +
                     std::to_string(loss / 1000 % 10) + " % |";
            for (const Duration trip : {Duration{1ms}, Duration{20ms}, Duration{100ms}}) {
                tcp::ConnectionOptions connection;
                connection.send_limit = connection.receive_limit = kibibytes * 1024;
                connection.receive_initial = std::min<std::uint32_t>(connection.receive_initial, kibibytes * 1024);
                std::vector<double> seconds;
                for (std::uint64_t seed = 1; seed <= 5; ++seed) {
                    const Condition wire{"", loss, 0, 0, trip / 2, 0ms, 0, 0};
                    const Outcome outcome = transfer(wire, tcp::CongestionControl::cubic, seed, connection);
                    ASSERT_TRUE(outcome.whole);
                    seconds.push_back(outcome.seconds);
                }
                std::array<char, 32> text{};
                std::snprintf(text.data(), text.size(), " %.1f |",
                              static_cast<double>(transfer_size) * 8 / 1e6 / quantile(seconds, 0.5));
                table += text.data();
            }
            table += "\n";
        }
    }
    const std::string path = SLUICE_SOURCE_DIR "/docs/tcp-goodput.md";
    const std::string head =
        "# Goodput of one transfer, by buffer, loss and round trip\n\n"
        "Mbit/s of one MiB over a wire of unlimited bandwidth, in virtual time: the median of five seeds, CUBIC, loss "
        "in "
        "both\ndirections. `GoodputTable.is_the_one_of_the_document` compares; run `simulation_tcp` with "
        "`SLUICE_REWRITE_DOCS=1`\nafter a change that is meant to move a number, and look at what moved.\n\n";
    if (number("SLUICE_REWRITE_DOCS", 0) != 0) {
        std::ofstream{path} << head << table;
    }
    std::ifstream file{path};
    const std::string kept{std::istreambuf_iterator<char>{file}, {}};
    EXPECT_EQ(kept, head + table);
}

} // namespace
} // namespace sluice::simulation
