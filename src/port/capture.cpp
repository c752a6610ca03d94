#include <sluice/handoff/ring.hpp>
#include <sluice/packet/heap_pool.hpp>
#include <sluice/port/capture.hpp>
#include <sluice/telemetry/counters.hpp>

#include "port/pcapng_file.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cassert>
#include <chrono>
#include <cstring>
#include <thread>
#include <vector>

namespace sluice::port {
namespace {

constexpr std::chrono::milliseconds write_interval{10};

struct Record {
    packet::Packet copy;
    TimePoint time;
    std::size_t size = 0; ///< Of the whole frame
};

Duration wall_clock_offset(const Clock& clock) noexcept
{
    return std::chrono::duration_cast<Duration>(std::chrono::system_clock::now().time_since_epoch()) -
           clock.now().time_since_epoch();
}

} // namespace

/// One direction of one queue: written by its core, read by the writer.
struct Capture::Lane {
    Lane(std::size_t buffers, std::size_t snap, Direction way) : pool{buffers, snap}, ring{buffers}, direction{way} {}
    packet::HeapPool pool;
    handoff::Ring<Record> ring;
    Direction direction;
    telemetry::Cell discarded;

    [[nodiscard]] Record copy_of(const packet::Packet& frame, TimePoint now) noexcept
    {
        Record record{pool.allocate(), now, frame.size()};
        if (record.copy) {
            const std::size_t kept = std::min(frame.size(), record.copy.tailroom());
            std::memcpy(record.copy.append(kept), frame.data(), kept);
        }
        return record;
    }
    void publish(Record&& record) noexcept
    {
        if (!record.copy || !ring.push(std::move(record))) {
            discarded.add();
        }
    }
};

class Capture::Writer {
public:
    Writer(const CaptureOptions& options, PcapngFile file, Duration offset, const Capabilities& capabilities)
        : file_{std::move(file)}, offset_{offset}
    {
        const auto add = [&](std::uint16_t queues, Direction direction) {
            std::vector<std::unique_ptr<Lane>> lanes;
            for (std::uint16_t queue = 0; queue < queues; ++queue) {
                lanes.push_back(std::make_unique<Lane>(options.buffers, options.snap, direction));
            }
            return lanes;
        };
        receive_ = add(capabilities.receive_queues, Direction::inbound);
        transmit_ = add(capabilities.transmit_queues, Direction::outbound);
        if (options.writer_thread) {
            thread_ = std::thread{[this] {
                while (!stop_.load(std::memory_order_acquire)) {
                    if (drain() == 0) {
                        std::this_thread::sleep_for(write_interval);
                    }
                }
            }};
        }
    }
    ~Writer()
    {
        stop_.store(true, std::memory_order_release);
        if (thread_.joinable()) {
            thread_.join();
        }
        drain();
    }
    Writer(const Writer&) = delete;
    Writer& operator=(const Writer&) = delete;

    [[nodiscard]] bool has_thread() const noexcept { return thread_.joinable(); }
    [[nodiscard]] Lane& receive_lane(std::uint16_t queue) noexcept { return *receive_[queue]; }
    [[nodiscard]] Lane& transmit_lane(std::uint16_t queue) noexcept { return *transmit_[queue]; }

    std::size_t drain() noexcept
    {
        std::size_t count = 0;
        for (const auto* lanes : {&receive_, &transmit_}) {
            for (const auto& lane : *lanes) {
                count += drain(*lane);
            }
        }
        if (count > 0) {
            file_.flush();
        }
        return count;
    }
    [[nodiscard]] std::uint64_t written() const noexcept { return written_.get(); }
    [[nodiscard]] std::uint64_t discarded() const noexcept
    {
        std::uint64_t total = failed_.get();
        for (const auto* lanes : {&receive_, &transmit_}) {
            for (const auto& lane : *lanes) {
                total += lane->discarded.get();
            }
        }
        return total;
    }

private:
    std::size_t drain(Lane& lane) noexcept
    {
        std::size_t count = 0;
        Record record;
        // No more than one ring's worth, so that a busy queue does not keep the others from being written.
        while (count < lane.ring.capacity() && lane.ring.pop(record)) {
            const bool good = file_.write(std::as_const(record.copy).bytes(), record.size,
                                          record.time.time_since_epoch() + offset_, lane.direction);
            (good ? written_ : failed_).add();
            record.copy.reset();
            ++count;
        }
        return count;
    }

    PcapngFile file_;
    Duration offset_;
    std::vector<std::unique_ptr<Lane>> receive_;
    std::vector<std::unique_ptr<Lane>> transmit_;
    telemetry::Cell written_;
    telemetry::Cell failed_;
    std::atomic<bool> stop_{false};
    std::thread thread_; ///< Last: it uses all of the above
};

Capture::Capture(Port& inner, const Clock& clock, std::unique_ptr<Writer> writer)
    : inner_{inner}, clock_{clock}, writer_{std::move(writer)}
{
}

Capture::~Capture() = default;

Expected<std::unique_ptr<Capture>, MachineError> Capture::open(Port& inner, const Clock& clock,
                                                               const CaptureOptions& options)
{
    auto file = PcapngFile::create(options.file, std::string{inner.name()}, options.snap);
    if (!file) {
        return failure(std::move(file.error()));
    }
    const Duration offset = options.wall_clock ? wall_clock_offset(clock) : Duration{0};
    auto writer = std::make_unique<Writer>(options, std::move(*file), offset, inner.capabilities());
    return std::unique_ptr<Capture>{new Capture{inner, clock, std::move(writer)}};
}

std::size_t Capture::receive(std::uint16_t queue, packet::Burst& out) noexcept
{
    const std::size_t before = out.size();
    const std::size_t count = inner_.receive(queue, out);
    if (count > 0) {
        const TimePoint now = clock_.now();
        Lane& lane = writer_->receive_lane(queue);
        for (std::size_t index = before; index < out.size(); ++index) {
            lane.publish(lane.copy_of(out[index], now));
        }
    }
    return count;
}

std::size_t Capture::transmit(std::uint16_t queue, packet::Burst& frames) noexcept
{
    if (frames.empty()) {
        return 0;
    }
    // A frame that was taken is gone, so it is copied before; what was not taken comes again and is forgotten here.
    const TimePoint now = clock_.now();
    Lane& lane = writer_->transmit_lane(queue);
    std::array<Record, packet::Burst::capacity> records;
    for (std::size_t index = 0; index < frames.size(); ++index) {
        records[index] = lane.copy_of(frames[index], now);
    }
    const std::size_t taken = inner_.transmit(queue, frames);
    for (std::size_t index = 0; index < taken; ++index) {
        lane.publish(std::move(records[index]));
    }
    return taken;
}

void Capture::drain() noexcept
{
    assert(!writer_->has_thread());
    writer_->drain();
}

std::uint64_t Capture::written() const noexcept { return writer_->written(); }
std::uint64_t Capture::discarded() const noexcept { return writer_->discarded(); }

} // namespace sluice::port
