// Which servers an operator keeps new flows and requests from, since when, until when and why. Kept in a file, so
// that a drain outlives reloads and restarts. Control thread only.
#pragma once

#include <sluice/control/events.hpp>
#include <sluice/control/snapshot.hpp>

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace sluice::control {

struct Drain {
    std::string pool;
    wire::Endpoint server;
    WallTime since;
    std::optional<WallTime> until; ///< Without: until undrain
    std::string who;               ///< "root", "uid 1000"
    std::string reason;
};

/// What changed, for events and logs: the server is drained from now on, or not any more, and why.
using DrainReport = std::function<void(const Drain& drain, bool drained, std::string_view why)>;

class Drains {
public:
    /// Reads what an earlier process left; a file that is missing means none, one that cannot be read is an error text.
    [[nodiscard]] std::optional<std::string> load(std::string path);

    /// Adds or replaces.
    void set(Drain drain, Registry& registry, const DrainReport& report);
    /// False when the server was not drained.
    bool clear(const std::string& pool, const wire::Endpoint& server, Registry& registry, const DrainReport& report);
    /// Ends what is over at `now`, and drains of servers that the configuration does not list any more.
    void expire(WallTime now, Registry& registry, const DrainReport& report);
    /// Sets the bit of every server that a drain names: after each compilation.
    void apply(Registry& registry) const;

    [[nodiscard]] const Drain* find(const std::string& pool, const wire::Endpoint& server) const noexcept;
    [[nodiscard]] const std::vector<Drain>& all() const noexcept { return drains_; }
    /// Why the file could not be written last; empty when it could.
    [[nodiscard]] const std::string& save_error() const noexcept { return save_error_; }

private:
    void save();

    std::string path_;
    std::vector<Drain> drains_;
    std::string save_error_;
};

} // namespace sluice::control
