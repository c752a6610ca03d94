// The verbs whose answer may be long: they go on whenever the reader has taken what was sent.
#include <sluice/control/verbs.hpp>

#include "views.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

namespace sluice::control {
namespace {

/// Slices of a walk over all connections; between two of them other work of the control thread gets its turn.
class ConnectionWalk : public std::enable_shared_from_this<ConnectionWalk> {
public:
    ConnectionWalk(Operations& operations, ConnectionFilter filter, std::shared_ptr<Reply> reply)
        : operations_{operations}, filter_{std::make_shared<const ConnectionFilter>(std::move(filter))}, reply_{
                                                                                                             std::move(
                                                                                                                 reply)}
    {
    }

    void go_on()
    {
        slice_.clear();
        operations_.connections(filter_, cursor_, slice_);
        for (const ConnectionView& connection : slice_) {
            reply_->line(connection_line(operations_, connection));
        }
        if (cursor_.end) {
            if (cursor_.left_out != 0) {
                boost::json::object refusal = answer(operations_, Exit::refused);
                refusal["error"] =
                    fmt::format("{} cores did not answer: their connections are missing", cursor_.left_out);
                refusal["hint"] = "`sluicectl status` says whether one stalls";
                reply_->line(refusal);
            }
            reply_->end();
            return;
        }
        reply_->when_writable([self = shared_from_this()] { self->go_on(); });
    }

private:
    Operations& operations_;
    std::shared_ptr<const ConnectionFilter> filter_;
    std::shared_ptr<Reply> reply_;
    ConnectionCursor cursor_;
    std::vector<ConnectionView> slice_;
};

/// Reads the log of events at the reader's own speed: one that is too slow is told how many it has missed.
class EventWalk : public std::enable_shared_from_this<EventWalk> {
public:
    EventWalk(Operations& operations, std::shared_ptr<Reply> reply, bool follow)
        : operations_{operations}, reply_{std::move(reply)}, follow_{follow}
    {
    }

    void start()
    {
        if (follow_) {
            const std::weak_ptr<EventWalk> weak = weak_from_this();
            const std::uint64_t listener = operations_.events().listen([weak](const RecordedEvent&) {
                if (const auto self = weak.lock(); self && !self->waiting_) {
                    self->go_on();
                }
            });
            reply_->when_left(
                [self = shared_from_this(), listener] { self->operations_.events().stop_listening(listener); });
        }
        go_on();
    }

    void go_on()
    {
        waiting_ = false;
        const auto& events = operations_.events().events();
        if (!events.empty() && events.front().number > next_ && next_ != 0) {
            boost::json::object lost = envelope(operations_, std::chrono::system_clock::now());
            lost["lost"] = events.front().number - next_;
            reply_->line(lost);
            next_ = events.front().number;
        }
        for (const RecordedEvent& event : events) {
            if (event.number < next_) {
                continue;
            }
            if (reply_->congested()) {
                waiting_ = true;
                reply_->when_writable([self = shared_from_this()] { self->go_on(); });
                return;
            }
            reply_->line(event_line(operations_, event));
            next_ = event.number + 1;
        }
        if (!follow_) {
            reply_->end();
        }
    }

private:
    Operations& operations_;
    std::shared_ptr<Reply> reply_;
    bool follow_;
    bool waiting_ = false;
    std::uint64_t next_ = 0; ///< Number of the event to send next; 0: the oldest
};

} // namespace

void Verbs::connections(const Request& request, std::shared_ptr<Reply> reply)
{
    ConnectionFilter filter = ConnectionFilter::read(request, operations_.model());
    const std::vector<CoreView> cores = operations_.cores();
    if (filter.worker && std::none_of(cores.begin(), cores.end(), [&](const CoreView& core) {
            return core.worker && core.index == *filter.worker;
        })) {
        throw std::invalid_argument{fmt::format("core {} is no worker; `sluicectl cores` lists them", *filter.worker)};
    }
    std::make_shared<ConnectionWalk>(operations_, std::move(filter), std::move(reply))->go_on();
}

void Verbs::events(const Request& request, std::shared_ptr<Reply> reply)
{
    std::make_shared<EventWalk>(operations_, std::move(reply), request.flag("follow"))->start();
}

} // namespace sluice::control
