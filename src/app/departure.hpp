// How a node leaves, to stop or to stand by: proxied connections may finish, the rest is reset, then the addresses go
// to the peer. While it lasts the node keeps serving. Control thread; advance() never waits longer than a few turns.
#pragma once

#include "node.hpp"

namespace sluice::app {

class Departure {
public:
    enum class State : std::uint8_t {
        idle,
        draining,     ///< Connections finish: `Connection: close`, GOAWAY
        handing_over, ///< Priority 0, until a peer's advert is heard
        settling,     ///< The peer has them; replies to flows of before still come to this node's own addresses
        done,
        failed, ///< Nobody took over in time: everything is as before
    };

    explicit Departure(Node& node) noexcept : node_{node} {}

    /// `drain`: how long connections may finish; `patience`: how long a peer may take.
    void begin(Duration drain, Duration patience, TimePoint now);
    /// Every tick.
    State advance(TimePoint now);
    [[nodiscard]] State state() const noexcept { return state_; }
    /// Workers take new connections as usual, whatever became of the handover.
    void undrain();

private:
    [[nodiscard]] bool connections_left();
    void reset_and_hand_over(TimePoint now);

    Node& node_;
    State state_ = State::idle;
    Duration patience_{};
    TimePoint deadline_ = never;
};

} // namespace sluice::app
