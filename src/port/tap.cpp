#include <sluice/port/tap.hpp>

#include "port/pcapng_blocks.hpp"

#include <pcap/bpf.h>

#include <algorithm>
#include <cstring>

namespace sluice::port {

std::optional<FrameFilter> FrameFilter::make(std::span<const std::uint32_t> words)
{
    static_assert(sizeof(Instruction) == sizeof(bpf_insn));
    FrameFilter filter;
    if (words.size() % 4 != 0 || words.size() / 4 > longest) {
        return {};
    }
    for (std::size_t index = 0; index < words.size(); index += 4) {
        if (words[index] > 0xffff || words[index + 1] > 0xff || words[index + 2] > 0xff) {
            return {};
        }
        // bpf_validate() lets a far jump wrap around and go backwards, which would never end.
        if (words[index] == (BPF_JMP | BPF_JA) && words[index + 3] >= words.size() / 4) {
            return {};
        }
        filter.program_.push_back({static_cast<std::uint16_t>(words[index]),
                                   static_cast<std::uint8_t>(words[index + 1]),
                                   static_cast<std::uint8_t>(words[index + 2]), words[index + 3]});
    }
    // Jumps within the program and forward only, no division by zero, a return at the end.
    const auto* program = reinterpret_cast<const bpf_insn*>(filter.program_.data());
    if (!filter.program_.empty() && bpf_validate(program, static_cast<int>(filter.program_.size())) == 0) {
        return {};
    }
    return filter;
}

bool FrameFilter::matches(Bytes frame) const noexcept
{
    const auto size = static_cast<unsigned>(frame.size());
    return program_.empty() || bpf_filter(reinterpret_cast<const bpf_insn*>(program_.data()),
                                          reinterpret_cast<const unsigned char*>(frame.data()), size, size) != 0;
}

FrameTap::FrameTap(const TapOptions& options) : options_{options}, ring_{options.ring}, kept_(options.snap) {}

void FrameTap::start_turn(TimePoint now, const telemetry::CoreCounters& counters) noexcept
{
    now_ = now;
    if (!started_) {
        started_ = true;
        drops_accounted_ = counters.drop_calls();
    }
    if (options_.dropped) {
        unseen_.set(counters.drop_calls() - drops_accounted_);
    }
}

void FrameTap::received(std::uint16_t port, packet::Burst& frames) noexcept
{
    for (packet::Packet& frame : frames) {
        const Bytes bytes = std::as_const(frame).bytes();
        if (options_.filter.matches(bytes)) {
            record({now_.time_since_epoch().count(), 0, port, Kind::received, {}}, bytes, bytes.size());
        }
    }
}

void FrameTap::sending(std::uint16_t port, packet::Burst& frames, std::size_t from) noexcept
{
    if (options_.dropped) {
        return;
    }
    for (std::size_t index = from; index < frames.size(); ++index) {
        const Bytes bytes = std::as_const(frames[index]).bytes();
        if (options_.filter.matches(bytes)) {
            record({now_.time_since_epoch().count(), 0, port, Kind::sent, {}}, bytes, bytes.size());
        }
    }
}

void FrameTap::keep(std::uint16_t port, Bytes frame, const telemetry::CoreCounters& counters) noexcept
{
    kept_bytes_ = options_.filter.matches(frame) ? std::min(frame.size(), kept_.size()) : 0;
    std::memcpy(kept_.data(), frame.data(), kept_bytes_);
    kept_size_ = frame.size();
    kept_port_ = port;
    drops_before_ = counters.drop_calls();
}

void FrameTap::judge(const telemetry::CoreCounters& counters) noexcept
{
    if (counters.drop_calls() == drops_before_) {
        return;
    }
    ++drops_accounted_;
    if (kept_bytes_ != 0) {
        record({now_.time_since_epoch().count(), 0, kept_port_, Kind::dropped, counters.last_drop()},
               Bytes{kept_}.first(kept_bytes_), kept_size_);
    }
}

void FrameTap::dropped(std::uint16_t port, Bytes frame, telemetry::DropReason reason) noexcept
{
    if (!options_.dropped) {
        return;
    }
    ++drops_before_; // Not also the fate of the frame that caused this one.
    ++drops_accounted_;
    if (options_.filter.matches(frame)) {
        record({now_.time_since_epoch().count(), 0, port, Kind::dropped, reason}, frame, frame.size());
    }
}

void FrameTap::record(Header header, Bytes frame, std::size_t size) noexcept
{
    header.size = static_cast<std::uint32_t>(size);
    const std::size_t kept = std::min<std::size_t>(frame.size(), options_.snap);
    const MutableBytes room = ring_.reserve(sizeof header + kept);
    if (room.empty()) {
        return;
    }
    std::memcpy(room.data(), &header, sizeof header);
    std::memcpy(room.data() + sizeof header, frame.data(), kept);
    ring_.commit(sizeof header + kept);
}

TapReader::TapReader(std::vector<std::shared_ptr<FrameTap>> taps, std::vector<std::string> interfaces,
                     std::uint16_t snap, Duration wall_clock)
    : taps_{std::move(taps)}, interfaces_{std::move(interfaces)}, snap_{snap}, wall_clock_{wall_clock}
{
}

std::size_t TapReader::read(std::vector<std::byte>& out, std::size_t bytes, std::uint64_t packets)
{
    if (!begun_) {
        begun_ = true;
        append_section(out);
        for (const std::string& name : interfaces_) {
            append_interface(out, name, snap_);
        }
    }
    std::size_t count = 0;
    while (count < packets && out.size() < bytes) {
        FrameTap* oldest = nullptr;
        FrameTap::Header header;
        for (const auto& tap : taps_) {
            const Bytes front = tap->ring_.front();
            if (front.empty()) {
                continue;
            }
            FrameTap::Header one;
            std::memcpy(&one, front.data(), sizeof one);
            if (oldest == nullptr || one.time < header.time) {
                oldest = tap.get();
                header = one;
            }
        }
        if (oldest == nullptr) {
            break;
        }
        std::string comment;
        if (header.kind == FrameTap::Kind::dropped) {
            const telemetry::DropReasonText& why = telemetry::text(header.reason);
            comment = std::string{why.name} + ": " + std::string{why.meaning};
        }
        const Direction direction = header.kind == FrameTap::Kind::sent ? Direction::outbound : Direction::inbound;
        append_packet(out, {header.port, Duration{header.time} + wall_clock_,
                            oldest->ring_.front().subspan(sizeof header), header.size, direction, comment});
        oldest->ring_.pop();
        ++count;
    }
    return count;
}

std::uint64_t TapReader::discarded() const noexcept
{
    std::uint64_t total = 0;
    for (const auto& tap : taps_) {
        total += tap->discarded();
    }
    return total;
}

std::uint64_t TapReader::unseen_drops() const noexcept
{
    std::uint64_t total = 0;
    for (const auto& tap : taps_) {
        total += tap->unseen_drops();
    }
    return total;
}

} // namespace sluice::port
