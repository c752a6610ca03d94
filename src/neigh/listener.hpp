// Reports of the IPv6 groups that we listen to (RFC 9777 §6): on joining twice, when asked, and on leaving. First
// forwarder.
#pragma once

#include <neigh/frames.hpp>
#include <sluice/neigh/neighbours.hpp>

#include <array>

namespace sluice::neigh {

class Listener {
public:
    explicit Listener(Frames& frames) noexcept : frames_{frames} {}

    /// Leaves what only `previous` (may be null) listens to, joins what only `next` does.
    void change(const Table* previous, const Table& next, TimePoint now) noexcept;
    void link_up(std::uint8_t port, TimePoint now) noexcept;
    /// A query came in; `maximum_delay` is what it allows.
    void query(std::uint8_t port, Duration maximum_delay, TimePoint now) noexcept;

    void advance(const Table& table, TimePoint now) noexcept;
    [[nodiscard]] TimePoint next_deadline() const noexcept { return next_; }

private:
    struct Reports {
        TimePoint join = never; ///< The next unasked report
        std::uint8_t joins_left = 0;
        TimePoint answer = never; ///< The answer to a query
    };

    void arm() noexcept;

    Frames& frames_;
    TimePoint next_ = never; ///< The earliest of all reports
    std::array<Reports, Adjacencies::maximum_port + 1> reports_{};
};

} // namespace sluice::neigh
