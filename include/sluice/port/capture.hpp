// A decorator that copies every frame to a pcapng file, off the packet path: cores put copies into rings, a thread of
// the file writes them.
#pragma once

#include <sluice/base/result.hpp>
#include <sluice/port/port.hpp>

#include <cstdint>
#include <memory>
#include <string>

namespace sluice::port {

struct CaptureOptions {
    std::string file{};
    std::size_t buffers =
        1024;                  ///< Frames that wait to be written, per queue and direction; more are discarded, counted
    std::uint16_t snap = 1920; ///< Bytes kept of a frame, at most
    bool writer_thread = true; ///< False: only drain() writes, for virtual time
    bool wall_clock = true;    ///< False: time stamps are the clock's own, which makes files reproducible
};

/// One file per port. A frame that was transmitted is one that the inner port took.
class Capture final : public Port {
public:
    /// Creates (or empties) the file. `inner` and `clock` must outlive it.
    [[nodiscard]] static Expected<std::unique_ptr<Capture>, MachineError> open(Port& inner, const Clock& clock,
                                                                               const CaptureOptions& options);
    /// Writes what still waits, and closes the file.
    ~Capture() override;
    Capture(const Capture&) = delete;
    Capture& operator=(const Capture&) = delete;

    [[nodiscard]] std::string_view name() const noexcept override { return inner_.name(); }
    [[nodiscard]] wire::MacAddress mac() const noexcept override { return inner_.mac(); }
    [[nodiscard]] std::uint16_t mtu() const noexcept override { return inner_.mtu(); }
    [[nodiscard]] const Capabilities& capabilities() const noexcept override { return inner_.capabilities(); }
    std::size_t receive(std::uint16_t queue, packet::Burst& out) noexcept override;
    std::size_t transmit(std::uint16_t queue, packet::Burst& frames) noexcept override;
    [[nodiscard]] int descriptor(std::uint16_t queue) const noexcept override { return inner_.descriptor(queue); }
    [[nodiscard]] TimePoint poll_at(std::uint16_t queue) const noexcept override { return inner_.poll_at(queue); }
    [[nodiscard]] bool link_up() const noexcept override { return inner_.link_up(); }
    void refresh() noexcept override { inner_.refresh(); }
    [[nodiscard]] Statistics statistics() const noexcept override { return inner_.statistics(); }
    void accept_mac(const wire::MacAddress& mac) noexcept override { inner_.accept_mac(mac); }

    /// Writes what waits. Only without a writer thread.
    void drain() noexcept;
    [[nodiscard]] std::uint64_t written() const noexcept;   ///< Frames; any thread
    [[nodiscard]] std::uint64_t discarded() const noexcept; ///< Frames that found no room, or a full disk; any thread

private:
    class Writer;
    struct Lane;
    Capture(Port& inner, const Clock& clock, std::unique_ptr<Writer> writer);

    Port& inner_;
    const Clock& clock_;
    std::unique_ptr<Writer> writer_;
};

} // namespace sluice::port
