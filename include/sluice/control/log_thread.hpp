// The thread that writes logs, so that nobody else ever waits for a disk or for who reads standard error: the main log
// (lines from any thread) and the access log (records from the cores' rings). What cannot be written is dropped and
// counted.
#pragma once

#include <sluice/base/time.hpp>
#include <sluice/telemetry/record_ring.hpp>

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace sluice::control {

struct LogTargets {
    std::string main;                  ///< Path; empty: standard error
    std::optional<std::string> access; ///< Path; unset: records are read and thrown away

    bool operator==(const LogTargets&) const = default;
};

class LogThread {
public:
    LogThread(const Clock& clock, std::string node, LogTargets targets);
    /// Writes what is waiting, but waits for a disk no longer than a second.
    ~LogThread();
    LogThread(const LogThread&) = delete;
    LogThread& operator=(const LogThread&) = delete;

    // ---- Any thread ----

    /// One line of the main log, with its line end; dropped and counted when too many wait.
    void write(std::string line);

    // ---- Control thread ----

    /// Rings to read from now on, until the next call has returned.
    void read(std::vector<telemetry::RecordRing*> rings);
    void set_targets(LogTargets targets);
    /// Opens the files again: after a rotation.
    void reopen();

    [[nodiscard]] std::uint64_t lines_lost() const noexcept;        ///< Of the main log
    [[nodiscard]] std::uint64_t access_lines_lost() const noexcept; ///< That reached this thread and no file
    /// Why a file cannot be written at present; empty when all is well.
    [[nodiscard]] std::string problem() const;

private:
    struct State;
    std::shared_ptr<State> state_;
    std::thread thread_;
};

} // namespace sluice::control
