#include <sluice/control/events.hpp>

namespace sluice::control {

void EventLog::add(const telemetry::Event& event, WallTime time)
{
    const RecordedEvent& recorded = events_.emplace_back(RecordedEvent{++numbers_, time, event});
    if (events_.size() > capacity) {
        events_.pop_front();
    }
    if (last_.size() < subjects_limit) {
        last_[{event.kind, std::string{event.subject.view()}}] = recorded;
    }
    // A listener may stop listening while it is called.
    const auto listeners = listeners_;
    for (const auto& [id, listener] : listeners) {
        listener(recorded);
    }
}

const RecordedEvent* EventLog::last(telemetry::EventKind kind, std::string_view subject) const
{
    // As the event holds it: cut.
    const decltype(telemetry::Event::subject) cut{subject};
    const auto found = last_.find(std::pair{kind, std::string{cut.view()}});
    return found == last_.end() ? nullptr : &found->second;
}

std::uint64_t EventLog::listen(Listener listener)
{
    listeners_.emplace(++listener_ids_, std::move(listener));
    return listener_ids_;
}

} // namespace sluice::control
