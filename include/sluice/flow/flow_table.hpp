// The flow table of one forwarder core: both directions of a flow, or the one that is seen, lead to one record. Memory
// is laid out at the start and nothing is allocated later. Everything here belongs to the core that owns the table,
// except memory_for().
//
//   index                                   records                      checks, notes
//   ┌──────────────────────────────┐        ┌───────────────────┐        ┌─────────┐
//   │ 10 tags │ 10 references │ past│ ──────►│ Flow, 96 bytes    │        │ 2 words │  checks are read in order by
//   sweep(); └──────────────────────────────┘        └───────────────────┘        └─────────┘  neither is touched by
//   packets
//
// The index is open addressing over buckets of one cache line. Keys are hashed with a secret, so nobody outside can
// choose collisions. A key whose bucket is full goes on by a step of its own (double hashing: full buckets do not grow
// into neighbourhoods), at most `maximum_distance` times, so no lookup ever degenerates.
#pragma once

#include <sluice/base/time.hpp>
#include <sluice/flow/flow.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>

namespace sluice::flow {

/// A flow and its translation. On the client's side packets carry client and service, on the server's side local and
/// server; `local` equals `client` where the source is not rewritten. A flow of one way has no packets on the server's
/// side: the server answers the client itself. What the fields below the ports mean is the business of whoever
/// forwards.
struct Flow {
    wire::IpAddress client;
    wire::IpAddress service;
    wire::IpAddress server;
    wire::IpAddress local;
    std::uint16_t client_port = 0;
    std::uint16_t service_port = 0;
    std::uint16_t server_port = 0;
    std::uint16_t local_port = 0;
    std::uint32_t service_id = 0;
    std::uint32_t server_id = 0;
    std::uint32_t to_server = 0;     ///< Adjacency handle, 0 when not resolved yet
    std::uint32_t to_client = 0;     ///< The same
    std::uint32_t deadline = 0;      ///< Tick; see FlowTable::keep()
    std::uint16_t address_delta = 0; ///< Ones' complement sum of what the addresses change towards the server
    std::uint8_t protocol = 0;       ///< 0 marks a free record
    std::uint8_t state : 4 = 0;
    std::uint8_t method : 3 = 0;
    std::uint8_t one_way : 1 = 0; ///< Only towards_service() leads here

    /// As the client sends it.
    [[nodiscard]] FiveTuple towards_service() const noexcept
    {
        return {client, service, client_port, service_port, protocol};
    }
    /// As the server answers it.
    [[nodiscard]] FiveTuple from_server() const noexcept { return {server, local, server_port, local_port, protocol}; }
};
static_assert(sizeof(Flow) == 96);

/// Who wants to know that a record goes. Called on the table's core; must not touch the table.
class FlowObserver {
public:
    virtual ~FlowObserver() = default;
    virtual void flow_removed(const Flow& flow, TimePoint now) noexcept = 0;
};

class FlowTable {
public:
    static constexpr std::uint32_t maximum_capacity = 1U << 30U;

    /// `capacity` flows (at least 1), all memory taken now.
    FlowTable(std::uint32_t capacity, const HashKey& key);
    FlowTable(const FlowTable&) = delete;
    FlowTable& operator=(const FlowTable&) = delete;
    ~FlowTable();

    /// Bytes that a table of this capacity takes: at most 128 per flow, both directions and the index included
    /// (one page more for the smallest tables). Any thread.
    [[nodiscard]] static std::size_t memory_for(std::uint32_t capacity) noexcept;

    void observe(FlowObserver* observer) noexcept { observer_ = observer; }

    [[nodiscard]] std::uint64_t hash(const FiveTuple& tuple) const noexcept;

    /// First pass over a burst: asks for the index line of `hash`. Second pass (optional): for the record behind it.
    void prefetch(std::uint64_t hash) const noexcept;
    void prefetch_record(std::uint64_t hash) const noexcept;

    struct Match {
        Flow* flow = nullptr;
        bool from_server = false; ///< The tuple is the server's direction
        [[nodiscard]] explicit operator bool() const noexcept { return flow != nullptr; }
    };
    /// The flow of a tuple in either direction. A flow whose time is over is removed here and not found.
    [[nodiscard]] Match find(const FiveTuple& tuple, std::uint64_t hash, TimePoint now) noexcept;

    /// Adds a flow that lives until `now + lifetime`. Its tuples, both or one, must be absent (find() said so). nullptr
    /// when the table is full: every record is in use, or (practically never) the neighbourhood of a key is.
    [[nodiscard]] Flow* insert(const Flow& flow, TimePoint now, Duration lifetime) noexcept;

    /// The flow lives until now + lifetime, or longer when it was meant to: one store. For packets.
    static void keep(Flow& flow, TimePoint now, Duration lifetime) noexcept;
    /// The flow lives until now + lifetime, also when that is sooner than before. For changes of state.
    void expire_in(Flow& flow, TimePoint now, Duration lifetime) noexcept;

    void remove(Flow& flow, TimePoint now) noexcept;

    /// Removes flows whose time is over. Looks at as many records as have become due for a look since the last call
    /// (all of them once per `sweep_period`), at most `limit`. Call it every turn.
    std::size_t sweep(TimePoint now, std::size_t limit = 4096) noexcept;
    static constexpr Duration sweep_period = std::chrono::seconds{1};

    /// Visits up to `limit` records from `cursor` on (0 at first) with `visit(Flow&)` for each live one; returns the
    /// cursor to go on with, or 0 when the end was reached. The visitor must not insert or remove.
    template <class Visitor>
    std::uint32_t visit(std::uint32_t cursor, std::uint32_t limit, TimePoint now, Visitor&& visitor) noexcept
    {
        const std::uint32_t end = capacity_ - cursor < limit ? capacity_ : cursor + limit;
        for (; cursor < end; ++cursor) {
            Flow& flow = records_[cursor];
            if (flow.protocol != 0 && flow.deadline > tick_of(now)) {
                visitor(flow);
            }
        }
        return end == capacity_ ? 0 : end;
    }

    /// A word beside the record for whoever forwards, which packets do not fetch. 0 in a new flow.
    [[nodiscard]] std::uint32_t& note(const Flow& flow) noexcept { return notes_[&flow - records_.get()]; }

    [[nodiscard]] std::uint32_t size() const noexcept { return size_; }
    [[nodiscard]] std::uint32_t capacity() const noexcept { return capacity_; }
    /// How long a flow has left.
    [[nodiscard]] static Duration remaining(const Flow& flow, TimePoint now) noexcept;

private:
    static constexpr unsigned tick_shift = 26; ///< Ticks of 67 ms; 32 bits of them last nine years of uptime.
    static constexpr std::size_t slots = 10;
    static constexpr std::size_t maximum_distance = 15;
    static constexpr std::uint32_t nobody = ~std::uint32_t{0};

    struct alignas(64) Bucket {
        std::uint16_t tags[slots]; ///< 0: free
        std::uint16_t past;        ///< Keys of this or an earlier bucket that live further on
        std::uint16_t unused;
        std::uint32_t references[slots]; ///< record * 2 + direction
    };
    static_assert(sizeof(Bucket) == 64);

    struct Free {
        void operator()(void* memory) const noexcept;
    };

    [[nodiscard]] static std::uint32_t tick_of(TimePoint time) noexcept
    {
        return static_cast<std::uint32_t>(time.time_since_epoch().count() >> tick_shift);
    }
    [[nodiscard]] static std::uint32_t deadline_of(TimePoint now, Duration lifetime) noexcept
    {
        return tick_of(now + lifetime) + 1;
    }
    [[nodiscard]] static std::size_t bucket_count(std::uint32_t capacity) noexcept;
    [[nodiscard]] std::size_t bucket_of(std::uint64_t hash) const noexcept
    {
        __extension__ using Wide = unsigned __int128;
        return static_cast<std::size_t>((static_cast<Wide>(hash) * buckets_count_) >> 64U);
    }
    [[nodiscard]] static std::uint16_t tag_of(std::uint64_t hash) noexcept
    {
        const auto tag = static_cast<std::uint16_t>(hash);
        return tag == 0 ? std::uint16_t{1} : tag;
    }
    [[nodiscard]] std::size_t next_bucket(std::size_t bucket, std::uint64_t hash) const noexcept
    {
        const std::size_t next = bucket + 1 + (hash >> 16U) % steps_;
        return next < buckets_count_ ? next : next - buckets_count_;
    }
    [[nodiscard]] static unsigned matching(const Bucket& bucket, std::uint16_t tag) noexcept;
    [[nodiscard]] bool link(std::uint64_t hash, std::uint32_t reference) noexcept;
    void unlink(std::uint64_t hash, std::uint32_t reference) noexcept;
    [[nodiscard]] std::uint32_t take_record(TimePoint now) noexcept;
    void release(std::uint32_t record) noexcept;
    std::size_t examine(std::size_t count, TimePoint now) noexcept;

    std::uint32_t capacity_;
    std::size_t buckets_count_;
    std::size_t steps_; ///< How many different steps there are: so few that none comes round within the distance
    HashKey key_;
    std::unique_ptr<Bucket[], Free> buckets_;
    std::unique_ptr<Flow[], Free> records_;
    std::unique_ptr<std::uint32_t[], Free> checks_; ///< When sweep() looks at the record; `nobody` when it is free
    std::unique_ptr<std::uint32_t[], Free> notes_;
    std::uint32_t free_ = nobody; ///< Linked through Flow::service_id
    std::uint32_t size_ = 0;
    std::uint32_t hand_ = 0; ///< Where sweep() goes on
    TimePoint swept_{};
    FlowObserver* observer_ = nullptr;
};

} // namespace sluice::flow
