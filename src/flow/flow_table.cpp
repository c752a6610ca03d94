#include <sluice/flow/flow_table.hpp>

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <new>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace sluice::flow {
namespace {

constexpr std::size_t line = 64;
constexpr std::size_t huge_page = std::size_t{2} << 20U;

std::size_t rounded(std::size_t bytes) noexcept { return (bytes + line - 1) / line * line; }

/// Zeroed and touched now, so that no packet meets a page fault; in huge pages where the kernel has them to give, since
/// a random lookup would otherwise miss the translation cache as well.
void* allocate(std::size_t bytes)
{
    const std::size_t alignment = bytes >= huge_page ? huge_page : line;
    const std::size_t size = (bytes + alignment - 1) / alignment * alignment;
    void* const memory = std::aligned_alloc(alignment, size);
    if (memory == nullptr) {
        throw std::bad_alloc{};
    }
    if (alignment == huge_page) {
        static_cast<void>(::madvise(memory, size, MADV_HUGEPAGE));
    }
    std::memset(memory, 0, size);
    return memory;
}

} // namespace

void FlowTable::Free::operator()(void* memory) const noexcept { std::free(memory); }

std::size_t FlowTable::bucket_count(std::uint32_t capacity) noexcept
{
    // Two keys a flow, three quarters full; never so few that a search would meet a bucket twice.
    return maximum_distance + 1 + std::size_t{capacity} * 8 / (3 * slots);
}

std::size_t FlowTable::memory_for(std::uint32_t capacity) noexcept
{
    return bucket_count(capacity) * sizeof(Bucket) + rounded(capacity * sizeof(Flow)) +
           2 * rounded(capacity * sizeof(std::uint32_t));
}

FlowTable::FlowTable(std::uint32_t capacity, const HashKey& key)
    : capacity_{std::clamp<std::uint32_t>(capacity, 1, maximum_capacity)}, buckets_count_{bucket_count(capacity_)},
      steps_{buckets_count_ / (maximum_distance + 1)}, key_{key}, buckets_{static_cast<Bucket*>(
                                                                      allocate(buckets_count_ * sizeof(Bucket)))},
      records_{static_cast<Flow*>(allocate(capacity_ * sizeof(Flow)))}, checks_{static_cast<std::uint32_t*>(allocate(
                                                                            capacity_ * sizeof(std::uint32_t)))},
      notes_{static_cast<std::uint32_t*>(allocate(capacity_ * sizeof(std::uint32_t)))}
{
    for (std::uint32_t record = capacity_; record-- > 0;) {
        new (&records_[record]) Flow{};
        release(record);
    }
}

FlowTable::~FlowTable() = default;

std::uint64_t FlowTable::hash(const FiveTuple& tuple) const noexcept
{
    if (tuple.source.is_v4() && tuple.destination.is_v4()) {
        // Another length than the IPv6 message below, so the two cannot collide by construction.
        return siphash13_words(key_, std::uint64_t{tuple.source.v4_value()} << 32U | tuple.destination.v4_value(),
                               std::uint64_t{tuple.source_port} << 32U | std::uint64_t{tuple.destination_port} << 16U |
                                   tuple.protocol);
    }
    return flow::hash(key_, tuple);
}

void FlowTable::prefetch(std::uint64_t hash) const noexcept { __builtin_prefetch(&buckets_[bucket_of(hash)]); }

void FlowTable::prefetch_record(std::uint64_t hash) const noexcept
{
    const Bucket& bucket = buckets_[bucket_of(hash)];
    if (const unsigned matches = matching(bucket, tag_of(hash)); matches != 0) {
        const std::uint32_t record = bucket.references[std::countr_zero(matches)] / 2;
        const auto* const bytes = reinterpret_cast<const std::byte*>(&records_[record]);
        __builtin_prefetch(bytes);
        __builtin_prefetch(bytes + sizeof(Flow) - 1);
    }
}

/// One bit for each slot whose tag is `tag`.
unsigned FlowTable::matching(const Bucket& bucket, std::uint16_t tag) noexcept
{
#if defined(__SSE2__)
    const __m128i wanted = _mm_set1_epi16(static_cast<std::int16_t>(tag));
    const __m128i first = _mm_load_si128(reinterpret_cast<const __m128i*>(bucket.tags));
    const __m128i equal = _mm_packs_epi16(_mm_cmpeq_epi16(first, wanted), _mm_setzero_si128());
    auto matches = static_cast<unsigned>(_mm_movemask_epi8(equal));
    matches |= (bucket.tags[8] == tag ? 1U : 0U) << 8U;
    matches |= (bucket.tags[9] == tag ? 1U : 0U) << 9U;
    return matches;
#else
    unsigned matches = 0;
    for (unsigned slot = 0; slot < slots; ++slot) {
        matches |= (bucket.tags[slot] == tag ? 1U : 0U) << slot;
    }
    return matches;
#endif
}

FlowTable::Match FlowTable::find(const FiveTuple& tuple, std::uint64_t hash, TimePoint now) noexcept
{
    const std::uint16_t tag = tag_of(hash);
    std::size_t position = bucket_of(hash);
    for (std::size_t distance = 0; distance <= maximum_distance; ++distance) {
        const Bucket& bucket = buckets_[position];
        for (unsigned matches = matching(bucket, tag); matches != 0; matches &= matches - 1) {
            const std::uint32_t reference = bucket.references[std::countr_zero(matches)];
            Flow& flow = records_[reference / 2];
            const bool from_server = (reference & 1U) != 0;
            if ((from_server ? flow.from_server() : flow.towards_service()) != tuple) {
                continue;
            }
            if (flow.deadline <= tick_of(now)) {
                remove(flow, now);
                return {};
            }
            return {&flow, from_server};
        }
        if (bucket.past == 0) {
            break;
        }
        position = next_bucket(position, hash);
    }
    return {};
}

bool FlowTable::link(std::uint64_t hash, std::uint32_t reference) noexcept
{
    const std::size_t home = bucket_of(hash);
    std::size_t position = home;
    for (std::size_t distance = 0; distance <= maximum_distance; ++distance, position = next_bucket(position, hash)) {
        Bucket& bucket = buckets_[position];
        const unsigned vacant = matching(bucket, 0);
        if (vacant == 0) {
            continue;
        }
        const auto slot = static_cast<std::size_t>(std::countr_zero(vacant));
        bucket.tags[slot] = tag_of(hash);
        bucket.references[slot] = reference;
        for (std::size_t passed = home; passed != position; passed = next_bucket(passed, hash)) {
            ++buckets_[passed].past;
        }
        return true;
    }
    return false;
}

void FlowTable::unlink(std::uint64_t hash, std::uint32_t reference) noexcept
{
    const std::size_t home = bucket_of(hash);
    std::size_t position = home;
    for (std::size_t distance = 0; distance <= maximum_distance; ++distance, position = next_bucket(position, hash)) {
        Bucket& bucket = buckets_[position];
        for (unsigned matches = matching(bucket, tag_of(hash)); matches != 0; matches &= matches - 1) {
            const auto slot = static_cast<std::size_t>(std::countr_zero(matches));
            if (bucket.references[slot] != reference) {
                continue;
            }
            bucket.tags[slot] = 0;
            for (std::size_t passed = home; passed != position; passed = next_bucket(passed, hash)) {
                --buckets_[passed].past;
            }
            return;
        }
    }
}

std::uint32_t FlowTable::take_record(TimePoint now) noexcept
{
    if (free_ == nobody) {
        constexpr std::size_t last_resort = 256;
        examine(std::min<std::size_t>(last_resort, capacity_), now);
    }
    const std::uint32_t record = free_;
    if (record != nobody) {
        free_ = records_[record].service_id;
        ++size_;
    }
    return record;
}

void FlowTable::release(std::uint32_t record) noexcept
{
    Flow& flow = records_[record];
    flow.protocol = 0;
    flow.service_id = free_;
    checks_[record] = nobody;
    free_ = record;
}

Flow* FlowTable::insert(const Flow& flow, TimePoint now, Duration lifetime) noexcept
{
    const std::uint32_t record = take_record(now);
    if (record == nobody) {
        return nullptr;
    }
    Flow& entry = records_[record];
    entry = flow;
    entry.deadline = deadline_of(now, lifetime);
    checks_[record] = entry.deadline;
    notes_[record] = 0;
    const std::uint64_t forward = hash(flow.towards_service());
    if (link(forward, record * 2)) {
        if (flow.one_way != 0 || link(hash(flow.from_server()), record * 2 + 1)) {
            return &entry;
        }
        unlink(forward, record * 2);
    }
    --size_;
    release(record);
    return nullptr;
}

void FlowTable::keep(Flow& flow, TimePoint now, Duration lifetime) noexcept
{
    flow.deadline = std::max(flow.deadline, deadline_of(now, lifetime));
}

void FlowTable::expire_in(Flow& flow, TimePoint now, Duration lifetime) noexcept
{
    flow.deadline = deadline_of(now, lifetime);
    std::uint32_t& check = checks_[&flow - records_.get()];
    check = std::min(check, flow.deadline);
}

void FlowTable::remove(Flow& flow, TimePoint now) noexcept
{
    if (observer_ != nullptr) {
        observer_->flow_removed(flow, now);
    }
    const auto record = static_cast<std::uint32_t>(&flow - records_.get());
    unlink(hash(flow.towards_service()), record * 2);
    if (flow.one_way == 0) {
        unlink(hash(flow.from_server()), record * 2 + 1);
    }
    --size_;
    release(record);
}

std::size_t FlowTable::examine(std::size_t count, TimePoint now) noexcept
{
    const std::uint32_t tick = tick_of(now);
    std::size_t removed = 0;
    for (; count > 0; --count) {
        const std::uint32_t record = hand_;
        hand_ = hand_ + 1 == capacity_ ? 0 : hand_ + 1;
        if (checks_[record] > tick) {
            continue;
        }
        Flow& flow = records_[record];
        if (flow.deadline <= tick) {
            remove(flow, now);
            ++removed;
        } else {
            // Packets moved the deadline on without touching the check: look again then.
            checks_[record] = flow.deadline;
        }
    }
    return removed;
}

std::size_t FlowTable::sweep(TimePoint now, std::size_t limit) noexcept
{
    if (size_ == 0 || now <= swept_) {
        swept_ = std::max(swept_, now);
        return 0;
    }
    const Duration elapsed = std::min(now - swept_, sweep_period);
    __extension__ using Wide = unsigned __int128;
    auto due = static_cast<std::size_t>(static_cast<Wide>(capacity_) * static_cast<std::uint64_t>(elapsed.count()) /
                                        static_cast<std::uint64_t>(sweep_period.count()));
    if (due == 0) {
        return 0; // Too little time for one record; it adds up.
    }
    due = std::min(due, limit);
    swept_ = now;
    return examine(due, now);
}

Duration FlowTable::remaining(const Flow& flow, TimePoint now) noexcept
{
    const std::uint32_t tick = tick_of(now);
    return flow.deadline <= tick ? Duration{0} : Duration{std::int64_t{flow.deadline - tick} << tick_shift};
}

} // namespace sluice::flow
