// `sluicectl capture`: the node sends pcapng in pieces, we write the file.
#pragma once

#include <ctl/client.hpp>

#include <cstdint>
#include <optional>
#include <string>

namespace sluice::ctl {

struct CaptureOptions {
    std::string file;       ///< "-": standard output
    std::string expression; ///< In the language of pcap-filter(7); empty: everything
    bool dropped = false;
    std::uint32_t snap = 256;
    std::optional<std::uint64_t> count;
    std::optional<double> seconds;
};

/// A program for the node from an expression, four numbers an instruction. Names of hosts are looked up here. The error
/// is a sentence.
[[nodiscard]] Expected<boost::json::array, std::string> compile_filter(const std::string& expression);

/// Until the limits, the node or SIGINT or SIGTERM end it, or the file cannot be written. Says on standard error how it
/// ended.
[[nodiscard]] Exit capture(const std::string& socket, const CaptureOptions& options);

} // namespace sluice::ctl
