// What connections and requests of one worker hold beside buffers: control blocks, coroutines, parsers, TLS state. They
// are the heap's, so they are not measured but counted, each kind with a weight that was measured from outside
// (docs/benchmarks.md), against one share of the process's memory. Owner of the loop only.
#pragma once

#include <sluice/proxy/worker.hpp>

#include <boost/intrusive/list.hpp>

#include <utility>

namespace sluice::proxy {

/// Bytes of each Held.
inline constexpr std::array<std::size_t, held_kinds> weights{
    connection_weight,  // client
    16 * 1024,          // tls_session
    24 * 1024,          // handshake
    8 * 1024,           // request: parser, coroutines, texts of a usual header
    64 * 1024,          // large_head: as the peer sent it, as fields, and as the server gets it
    16 * 1024,          // body
    connection_weight}; // upstream
inline constexpr std::size_t usual_head_bytes = 2048; ///< A header beyond is a large one.

class Holdings {
public:
    explicit Holdings(std::size_t limit) noexcept : limit_{limit} {}
    Holdings(const Holdings&) = delete;
    Holdings& operator=(const Holdings&) = delete;

    void take(Held kind) noexcept
    {
        ++counts_[static_cast<std::size_t>(kind)];
        bytes_ += weights[static_cast<std::size_t>(kind)];
    }
    void give(Held kind) noexcept
    {
        --counts_[static_cast<std::size_t>(kind)];
        bytes_ -= weights[static_cast<std::size_t>(kind)];
    }
    /// No room for anything that would be new.
    [[nodiscard]] bool full() const noexcept { return bytes_ > limit_ / 16 * 15; }
    /// Not even for a request of a connection that is there.
    [[nodiscard]] bool exhausted() const noexcept { return bytes_ > limit_; }
    [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }
    [[nodiscard]] std::size_t limit() const noexcept { return limit_; }
    [[nodiscard]] const std::array<std::size_t, held_kinds>& counts() const noexcept { return counts_; }

private:
    std::array<std::size_t, held_kinds> counts_{};
    std::size_t bytes_ = 0;
    std::size_t limit_;
};

/// One of a kind, for as long as it lives.
class Holding {
public:
    Holding(Holdings& holdings, Held kind) noexcept : holdings_{&holdings}, kind_{kind} { holdings.take(kind); }
    Holding(Holding&& other) noexcept : holdings_{std::exchange(other.holdings_, nullptr)}, kind_{other.kind_} {}
    Holding& operator=(Holding&&) = delete;
    ~Holding()
    {
        if (holdings_ != nullptr) {
            holdings_->give(kind_);
        }
    }

private:
    Holdings* holdings_;
    Held kind_;
};

/// A client that has not sent a whole request yet, or not another one: in its handshake, inside a header, idle.
class Waiter : public boost::intrusive::list_base_hook<boost::intrusive::tag<class WaiterTag>,
                                                       boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
public:
    virtual ~Waiter() = default;
    /// Ends its connection. Must only cancel and notify.
    virtual void evict() noexcept = 0;

private:
    friend class Waiters;
    TimePoint since_{};
};

/// The longest waiting first.
class Waiters {
public:
    void add(Waiter& waiter, TimePoint now) noexcept
    {
        if (!waiter.is_linked()) {
            waiter.since_ = now;
            list_.push_back(waiter);
        }
    }
    static void remove(Waiter& waiter) noexcept
    {
        if (waiter.is_linked()) {
            waiter.unlink();
        }
    }
    /// False when nobody has waited long enough: who arrives in a crowd must have the time to say what it wants.
    [[nodiscard]] bool evict_longest(TimePoint now) noexcept
    {
        if (list_.empty() || now - list_.front().since_ < patience) {
            return false;
        }
        Waiter& longest = list_.front();
        longest.unlink();
        longest.evict();
        return true;
    }

private:
    static constexpr Duration patience = std::chrono::milliseconds{500};
    using Hook = boost::intrusive::base_hook<boost::intrusive::list_base_hook<
        boost::intrusive::tag<WaiterTag>, boost::intrusive::link_mode<boost::intrusive::auto_unlink>>>;
    boost::intrusive::list<Waiter, Hook, boost::intrusive::constant_time_size<false>> list_;
};

} // namespace sluice::proxy
