// The last state changes of the node with their wall-clock times: what `sluicectl events` shows. Control thread only.
#pragma once

#include <sluice/telemetry/event.hpp>

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <string>

namespace sluice::control {

using WallTime = std::chrono::system_clock::time_point;

/// An event with its place in the sequence since the start.
struct RecordedEvent {
    std::uint64_t number = 0;
    WallTime time;
    telemetry::Event event;
};

class EventLog {
public:
    static constexpr std::size_t capacity = 10'000;
    using Listener = std::function<void(const RecordedEvent&)>;

    void add(const telemetry::Event& event, WallTime time);

    /// Oldest first.
    [[nodiscard]] const std::deque<RecordedEvent>& events() const noexcept { return events_; }
    /// The last event of this kind about this subject, also when it has left the log; nullptr when there was none.
    [[nodiscard]] const RecordedEvent* last(telemetry::EventKind kind, std::string_view subject) const;

    /// Called for every event from now on; returns what stop_listening() takes.
    std::uint64_t listen(Listener listener);
    void stop_listening(std::uint64_t id) { listeners_.erase(id); }

private:
    /// Subjects are names of the configuration; a bound all the same.
    static constexpr std::size_t subjects_limit = 65'536;

    std::deque<RecordedEvent> events_;
    std::map<std::pair<telemetry::EventKind, std::string>, RecordedEvent, std::less<>> last_;
    std::map<std::uint64_t, Listener> listeners_;
    std::uint64_t numbers_ = 0;
    std::uint64_t listener_ids_ = 0;
};

} // namespace sluice::control
