// Everything that TCP knows of one connection, as a person reads it.
#include <ctl/tables.hpp>

#include <fmt/format.h>

namespace sluice::ctl {
namespace {

namespace json = boost::json;

/// Words about one line of JSON; `-` for what there is not.
class Facts {
public:
    explicit Facts(const json::object& line) : line_{line} {}

    [[nodiscard]] std::string count(std::string_view key) const
    {
        json::error_code error;
        const json::value* value = line_.if_contains(key);
        const auto number = value != nullptr ? value->to_number<double>(error) : 0;
        return value == nullptr || error ? "-" : fmt::format("{:.0f}", number);
    }
    [[nodiscard]] std::string time(std::string_view key) const { return time_of(line_, key); }
    [[nodiscard]] std::string word(std::string_view key) const
    {
        const json::value* value = line_.if_contains(key);
        return value != nullptr && value->is_string() ? std::string{std::string_view{value->as_string()}} : "-";
    }
    [[nodiscard]] bool yes(std::string_view key) const
    {
        const json::value* value = line_.if_contains(key);
        return value != nullptr && value->is_bool() && value->as_bool();
    }
    /// `words` when the flag is set, else nothing.
    [[nodiscard]] std::string when(std::string_view key, std::string_view words) const
    {
        return yes(key) ? std::string{words} : std::string{};
    }
    [[nodiscard]] std::string timers() const
    {
        std::string all;
        const json::value* value = line_.if_contains("timers");
        if (value != nullptr && value->is_object()) {
            for (const auto& [key, unused] : value->as_object()) {
                const std::string_view name{key};
                all += fmt::format("{}{} in {}", all.empty() ? "" : ", ", name.substr(0, name.rfind("_seconds")),
                                   time_of(value->as_object(), name));
            }
        }
        return all.empty() ? "none is armed" : all;
    }

private:
    [[nodiscard]] static std::string time_of(const json::object& object, std::string_view key)
    {
        json::error_code error;
        const json::value* value = object.if_contains(key);
        const auto number = value != nullptr ? value->to_number<double>(error) : 0;
        if (value == nullptr || error) {
            return "-";
        }
        return number < 0.01 ? fmt::format("{:.0f}us", number * 1e6) : duration_text(number);
    }

    const json::object& line_;
};

} // namespace

std::string connection_detail(const json::object& line)
{
    const Facts is{line};
    std::string out;
    const auto add = [&](std::string_view name, const std::string& words) {
        out += fmt::format("       {:<11} {}\n", name, words);
    };
    add("round trip",
        fmt::format("smoothed {}, variation {}, minimum {}, timeout {}, doubled {} times",
                    is.time("smoothed_rtt_seconds"), is.time("rtt_variation_seconds"), is.time("minimum_rtt_seconds"),
                    is.time("retransmission_timeout_seconds"), is.count("backoff_doublings")));
    add("congestion",
        fmt::format("{}, cwnd {}, ssthresh {}{}", is.word("congestion_control"), is.count("congestion_window_bytes"),
                    is.count("slow_start_threshold_bytes"), is.when("slow_start", ", slow start")));
    if (is.word("congestion_control") == "cubic") {
        add("cubic", fmt::format("W_max {}, K {}, since {}, W_est {} segments", is.count("cubic_maximum_bytes"),
                                 is.time("cubic_k_seconds"), is.time("cubic_epoch_seconds"),
                                 is.count("cubic_estimate_segments")));
    }
    add("in flight", fmt::format("{} in {} segments, pipe {}, SACKed {}, lost {}", is.count("in_flight_bytes"),
                                 is.count("in_flight_segments"), is.count("pipe_bytes"), is.count("sacked_bytes"),
                                 is.count("lost_bytes")));
    add("recovery",
        fmt::format("{}, {} bytes left, {} duplicate ACKs, PRR {} delivered {} out of {}{}{}{}", is.word("recovery"),
                    is.count("recovery_left_bytes"), is.count("duplicate_acks"), is.count("prr_delivered_bytes"),
                    is.count("prr_out_bytes"), is.count("prr_recover_flight_bytes"),
                    is.when("undo_possible", ", may be undone"), is.when("reordering_seen", ", reorders"),
                    is.when("tail_loss_probe_out", ", tail loss probe out")));
    add("sent again", fmt::format("{}, last by {} {} ago", is.count("retransmissions_total"),
                                  is.word("last_retransmission_reason"), is.time("since_retransmission_seconds")));
    add("send", fmt::format("queue {}, window {} (at most {}), scale {}{}{}", is.count("send_queue_bytes"),
                            is.count("send_window_bytes"), is.count("send_window_maximum_bytes"),
                            is.count("send_window_scale_bits"), is.when("writer_waits", ", writer waits"),
                            is.when("fin_sent", ", FIN sent")));
    add("receive", fmt::format("queue {}, window {}, limit {}, scale {}, out of order {} in {} ranges{}{}",
                               is.count("receive_queue_bytes"), is.count("receive_window_bytes"),
                               is.count("receive_limit_bytes"), is.count("receive_window_scale_bits"),
                               is.count("out_of_order_bytes"), is.count("out_of_order_ranges"),
                               is.when("reader_waits", ", reader waits"), is.when("fin_received", ", FIN received")));
    add("segments",
        fmt::format("mss {}, peer's {}, largest received {}, path MTU {}{}{}{}", is.count("segment_size_bytes"),
                    is.count("peer_segment_size_bytes"), is.count("largest_segment_received_bytes"),
                    is.count("path_mtu_bytes"), is.when("sack", ", SACK"), is.when("timestamps", ", timestamps"),
                    is.when("window_scaling", ", window scaling")));
    add("timers", is.timers());
    add("times", fmt::format("age {}, idle {}, received {} ago, sent {} ago, progress {} ago", is.time("age_seconds"),
                             is.time("idle_seconds"), is.time("since_received_seconds"), is.time("since_sent_seconds"),
                             is.time("since_progress_seconds")));
    return out;
}

} // namespace sluice::ctl
