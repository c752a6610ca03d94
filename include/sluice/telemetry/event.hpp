// State changes with their reasons: what `sluicectl events` shows and notify scripts read. Cores and the control thread
// write them, the control thread collects them.
#pragma once

#include <sluice/base/time.hpp>
#include <sluice/telemetry/counters.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

namespace sluice::telemetry {

/// What changed. The words of `sluicectl events` and its JSON key `kind`.
enum class EventKind : std::uint8_t { vrrp, health, port, reload, drain, handover, core, node };

[[nodiscard]] std::string_view text(EventKind kind) noexcept;

/// A short text without heap; longer input is cut at the end of a UTF-8 character.
template <std::size_t Capacity>
class EventText {
    static_assert(Capacity < 256);

public:
    EventText() = default;
    EventText(std::string_view text) noexcept // NOLINT(google-explicit-constructor): a text is a text.
    {
        std::size_t size = std::min(text.size(), Capacity);
        while (size < text.size() && size > 0 && (static_cast<unsigned char>(text[size]) & 0xc0U) == 0x80U) {
            --size;
        }
        std::copy_n(text.data(), size, bytes_.data());
        size_ = static_cast<std::uint8_t>(size);
    }
    EventText(const char* text) noexcept : EventText{std::string_view{text}} {} // NOLINT(google-explicit-constructor)

    [[nodiscard]] std::string_view view() const noexcept { return {bytes_.data(), size_}; }

private:
    std::array<char, Capacity> bytes_{};
    std::uint8_t size_ = 0;
};

/// One state change; plain bytes, 256 of them at most.
struct Event {
    TimePoint time;
    EventKind kind = EventKind::node;
    EventText<71> subject; ///< "public", "web/10.0.0.11:8080", "front".
    EventText<23> from;    ///< The state before, "backup"; may be empty.
    EventText<23> to;      ///< The state after, "active".
    EventText<119> reason; ///< "no advert for 330ms", "status 503, expected 200-299".
};
static_assert(sizeof(Event) <= 256);

/// From one core to the control thread; when full, an event is discarded and counted.
class EventRing {
public:
    /// `capacity` events, rounded up to a power of two.
    explicit EventRing(std::size_t capacity);

    /// The writing thread; false when the event was discarded.
    bool push(const Event& event) noexcept;
    /// The reading thread.
    [[nodiscard]] std::optional<Event> pop() noexcept;

    [[nodiscard]] std::uint64_t discarded() const noexcept { return discarded_.get(); }
    [[nodiscard]] std::size_t capacity() const noexcept { return mask_ + 1; }

private:
    std::size_t mask_;
    std::unique_ptr<Event[]> events_;
    alignas(64) std::atomic<std::uint64_t> written_{0};
    Cell discarded_;
    alignas(64) std::atomic<std::uint64_t> read_{0};
};

} // namespace sluice::telemetry
