// What somebody may do to a node, from addresses of his own: packets from nowhere, and connections that only take.
#pragma once

#include "raw_segment.hpp"

#include <sluice/base/random.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::bench {

enum class AttackKind : std::uint8_t {
    none,
    syn,            ///< SYNs from random sources
    ack,            ///< ACKs from random sources, of no connection
    forged,         ///< RST, SYN, ACK and data with random numbers, from the addresses of real clients
    tiny,           ///< A body of one byte a segment
    out_of_order,   ///< One byte a segment, all behind a gap that is never filled
    zero_window,    ///< Large responses are asked for and not taken
    slow_server,    ///< Requests for which the server never has an answer
    stuck_upload,   ///< Bodies that the server does not take
    half_head,      ///< Requests whose header does not end
    half_handshake, ///< TLS handshakes that stop after the first message
    idle,           ///< Connections on which nothing happens
};

[[nodiscard]] std::optional<AttackKind> attack_of(std::string_view word) noexcept;

class Attack {
public:
    struct Plan {
        AttackKind kind = AttackKind::none;
        double rate = 0; ///< Packets per second; of kinds that hold something: connections opened per second
        std::uint32_t attackers = 0;         ///< Connections at most
        std::vector<wire::Endpoint> victims; ///< Clients whose addresses are forged
    };

    Attack(Wire& wire, const wire::IpAddress& node, Plan plan);

    void start() noexcept;
    void stop() noexcept { running_ = false; }
    /// Sends what is due.
    void turn() noexcept;
    /// Takes what is addressed to an attacker. False for everybody else's.
    bool take(Bytes packet, const wire::ParsedPacket& parsed) noexcept;

    [[nodiscard]] std::uint64_t sent() const noexcept { return sent_; }
    [[nodiscard]] std::uint64_t opened() const noexcept { return opened_; }
    [[nodiscard]] std::uint64_t resets() const noexcept { return resets_; }

private:
    enum class State : std::uint8_t { closed, opening, open };
    struct Attacker {
        std::uint32_t next_out = 0;
        std::uint32_t acknowledged = 0;
        std::uint32_t next_in = 0;
        State state = State::closed;
        SteadyClock::time_point since{}; ///< When it was last begun
    };

    [[nodiscard]] bool holds() const noexcept { return plan_.kind >= AttackKind::zero_window; }
    [[nodiscard]] std::uint16_t port() const noexcept { return plan_.kind == AttackKind::half_handshake ? 443 : 80; }
    void send(std::uint32_t index, std::uint32_t sequence, std::uint8_t flags, std::string_view payload = {}) noexcept;
    void open(std::uint32_t index) noexcept;
    void established(std::uint32_t index) noexcept;
    void send_from_nowhere() noexcept;
    void send_forged() noexcept;
    void send_byte() noexcept;
    void open_next() noexcept;

    Wire& wire_;
    const wire::IpAddress node_;
    Plan plan_;
    Random random_;
    const std::string body_ = std::string(1400, 'x');
    std::string first_; ///< What an attacker says when his connection is open
    std::vector<Attacker> attackers_;
    std::uint32_t next_ = 0;
    SteadyClock::time_point begun_{};
    std::uint64_t due_ = 0; ///< Steps taken since then
    std::uint64_t sent_ = 0;
    std::uint64_t opened_ = 0;
    std::uint64_t resets_ = 0;
    bool running_ = false;
};

} // namespace sluice::bench
