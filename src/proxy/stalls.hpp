// Those that wait for a peer and hold memory meanwhile, the longest waiting first. While there is plenty each may wait
// as long as its timeout says; when it runs short, those that have waited longest make room for the others. Owner of
// the loop only.
#pragma once

#include <proxy/deadline.hpp>

#include <boost/intrusive/list.hpp>

namespace sluice::proxy {

/// One wait; ends with its life.
class Stall : public boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
public:
    /// `deadline` is what ends the wait when its time is over.
    explicit Stall(Deadline& deadline) noexcept : deadline_{deadline} {}
    Stall(const Stall&) = delete;
    Stall& operator=(const Stall&) = delete;

private:
    friend class Stalls;
    Deadline& deadline_;
    TimePoint since_{};
};

class Stalls {
public:
    void add(Stall& stall, TimePoint now) noexcept
    {
        stall.since_ = now;
        waiting_.push_back(stall);
    }
    /// Ends the longest waits, `most` of them at most, and only those that have lasted for `patience`: a few at a time,
    /// since room comes only when they have ended.
    void relieve(TimePoint now, Duration patience, int most) noexcept
    {
        for (int count = 0; count < most && ripe(patience) <= now; ++count) {
            Stall& longest = waiting_.front();
            longest.unlink();
            longest.deadline_.expire();
        }
    }
    /// When the next one may be given up.
    [[nodiscard]] TimePoint ripe(Duration patience) const noexcept
    {
        return waiting_.empty() ? never : waiting_.front().since_ + patience;
    }

private:
    boost::intrusive::list<Stall, boost::intrusive::constant_time_size<false>> waiting_;
};

} // namespace sluice::proxy
