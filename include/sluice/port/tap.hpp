// A look at frames while a node runs: what a core receives and sends, or what it drops and why. A core copies the
// beginnings of frames into a ring of its own; the control thread makes pcapng of them. Without a tap a core asks one
// pointer per burst.
#pragma once

#include <sluice/base/time.hpp>
#include <sluice/packet/packet.hpp>
#include <sluice/telemetry/counters.hpp>
#include <sluice/telemetry/record_ring.hpp>

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace sluice::port {

/// A program of the classic Berkeley Packet Filter, as libpcap compiles one. It only jumps forward, so a frame costs at
/// most `longest` instructions.
class FrameFilter {
public:
    static constexpr std::size_t longest = 512;

    FrameFilter() = default; ///< Everything
    /// Four numbers an instruction: code, jump if true, jump if false, operand. Nothing when that is no valid program.
    [[nodiscard]] static std::optional<FrameFilter> make(std::span<const std::uint32_t> words);
    [[nodiscard]] bool matches(Bytes frame) const noexcept;

private:
    struct Instruction {
        std::uint16_t code;
        std::uint8_t jump_true;
        std::uint8_t jump_false;
        std::uint32_t operand;
    };
    std::vector<Instruction> program_;
};

struct TapOptions {
    FrameFilter filter{};
    bool dropped = false;         ///< Only frames that were dropped
    std::uint16_t snap = 256;     ///< Bytes kept of a frame, at most
    std::size_t ring = 1U << 20U; ///< Bytes that wait for the control thread, per core; more are discarded, counted
};

/// The tap of one core.
class FrameTap {
public:
    explicit FrameTap(const TapOptions& options);
    FrameTap(const FrameTap&) = delete;
    FrameTap& operator=(const FrameTap&) = delete;

    // ---- The core ----

    void start_turn(TimePoint now, const telemetry::CoreCounters& counters) noexcept;
    [[nodiscard]] bool watches_drops() const noexcept { return options_.dropped; }
    /// Frames that came from, or go to, `port`; nothing when only drops are wanted. `from`: the first of the burst that
    /// was not shown before.
    void received(std::uint16_t port, packet::Burst& frames) noexcept;
    void sending(std::uint16_t port, packet::Burst& frames, std::size_t from) noexcept;
    /// Remembers a frame whose fate is to be decided now; judge() looks whether a drop was counted since.
    void keep(std::uint16_t port, Bytes frame, const telemetry::CoreCounters& counters) noexcept;
    void judge(const telemetry::CoreCounters& counters) noexcept;
    /// This frame was just dropped and counted.
    void dropped(std::uint16_t port, Bytes frame, telemetry::DropReason reason) noexcept;

    // ---- Any thread ----

    [[nodiscard]] std::uint64_t discarded() const noexcept { return ring_.discarded(); }
    /// Drops of which there was no frame to show: of a timer, or of a packet that had waited somewhere.
    [[nodiscard]] std::uint64_t unseen_drops() const noexcept { return unseen_.get(); }

private:
    friend class TapReader;
    enum class Kind : std::uint8_t { received, sent, dropped };
    struct Header {
        std::int64_t time = 0; ///< Of the clock of TimePoint
        std::uint32_t size = 0;
        std::uint16_t port = 0;
        Kind kind = Kind::received;
        telemetry::DropReason reason{};
    };

    void record(Header header, Bytes frame, std::size_t size) noexcept;

    TapOptions options_;
    telemetry::RecordRing ring_;
    TimePoint now_{};
    std::vector<std::byte> kept_; ///< The beginning of the frame that is being judged
    std::size_t kept_bytes_ = 0;
    std::size_t kept_size_ = 0;
    std::uint16_t kept_port_ = 0;
    std::uint64_t drops_before_ = 0;
    std::uint64_t drops_accounted_ = 0; ///< Calls of drop() up to the first turn, and those shown since
    bool started_ = false;
    telemetry::Cell unseen_;
};

/// The control thread's end of the taps of all cores: pcapng, in the order of time as far as it is known.
class TapReader {
public:
    /// `interfaces`: names of the ports in their order. `wall_clock`: 1970 on the clock of TimePoint.
    TapReader(std::vector<std::shared_ptr<FrameTap>> taps, std::vector<std::string> interfaces, std::uint16_t snap,
              Duration wall_clock);

    /// Appends whole blocks until there are `bytes` or more, `packets` of frames, or no more wait; the first call puts
    /// the header before. Returns the frames.
    std::size_t read(std::vector<std::byte>& out, std::size_t bytes, std::uint64_t packets);
    [[nodiscard]] std::uint64_t discarded() const noexcept;
    [[nodiscard]] std::uint64_t unseen_drops() const noexcept;

private:
    std::vector<std::shared_ptr<FrameTap>> taps_;
    std::vector<std::string> interfaces_;
    std::uint16_t snap_;
    Duration wall_clock_;
    bool begun_ = false;
};

} // namespace sluice::port
