// How a node leaves, to stop or to stand by. New connections are served all the time: here until the peer is heard,
// there from its first advert on.
//
//   draining      connections that were there finish (`Connection: close`, GOAWAY); who comes meanwhile is served
//   handing_over  those that did not finish in time are reset; priority 0, until the peer's advert is heard
//   settling      the peer has the addresses and passes back what belongs to connections of before (Succession)
//
// Control thread; advance() never waits longer than a few turns.
#pragma once

#include "node.hpp"

namespace sluice::app {

class Departure {
public:
    enum class State : std::uint8_t {
        idle,
        draining,
        handing_over,
        settling,
        done,
        failed, ///< Nobody took over in time: everything is as before
    };

    explicit Departure(Node& node) noexcept : node_{node} {}

    /// `drain`: how long connections may finish; `patience`: how long a peer may take, zero when there is nothing to
    /// give away.
    void begin(Duration drain, Duration patience, TimePoint now);
    /// Every tick.
    State advance(TimePoint now);
    [[nodiscard]] State state() const noexcept { return state_; }
    [[nodiscard]] bool under_way() const noexcept { return state_ > State::idle && state_ < State::done; }
    /// Workers take new connections as usual, whatever became of the handover.
    void undrain();

private:
    template <class Count>
    [[nodiscard]] bool any_worker_has(Count count);
    void reset_and_hand_over(TimePoint now);
    void wait_for_peer(TimePoint now);

    Node& node_;
    State state_ = State::idle;
    Duration patience_{};
    TimePoint settled_ = never;
    TimePoint deadline_ = never;
};

} // namespace sluice::app
