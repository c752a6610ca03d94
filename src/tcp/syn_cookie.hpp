// SYN cookies (RFC 4987 §3.6): under a flood the handshake is kept by the client instead of by us. Our initial sequence
// number proves that we sent the SYN-ACK; the timestamp that the client echoes carries the options that would be lost.
//
//     initial sequence number                     timestamp value (RFC 7323), lowest bits
//     ┌────────┬───────┬───────────────────┐      ┌─────────────┬──────┬─────────────────┐
//     │ age: 5 │ MSS: 3│ keyed hash: 24    │      │ clock: 27   │SACK:1│ window scale: 4 │   15: no window scale
//     └────────┴───────┴───────────────────┘      └─────────────┴──────┴─────────────────┘
//
// A cookie lives for one to two minutes. Who guesses needs 2^23 segments for one connection, and only while cookies are
// being given out at all.
#pragma once

#include "tcp/segment.hpp"
#include "tcp/table.hpp"

#include <sluice/base/time.hpp>

#include <optional>

namespace sluice::tcp {

class SynCookies {
public:
    /// How long after the last cookie an acknowledgment is still looked at.
    static constexpr Duration lifetime = std::chrono::seconds{128};

    explicit SynCookies(const HashKey& key) noexcept : key_{key} {}

    /// The initial sequence number that stands for a half-open record with this MSS.
    [[nodiscard]] Sequence make(const TableEntry& ends, Sequence irs, std::uint16_t mss, TimePoint now) noexcept;
    /// The MSS, when `iss` is a cookie of ours for these ends that is not too old.
    [[nodiscard]] std::optional<std::uint16_t> check(const TableEntry& ends, Sequence irs, Sequence iss,
                                                     TimePoint now) const noexcept;

    struct Options {
        bool sack = false;
        std::optional<std::uint8_t> window_scale;
    };
    /// The latest timestamp not after `clock` that says these options: later ones are never before it.
    [[nodiscard]] static std::uint32_t timestamp(std::uint32_t clock, const Options& options) noexcept;
    [[nodiscard]] static Options options(std::uint32_t timestamp) noexcept;

private:
    [[nodiscard]] std::uint32_t hash(const TableEntry& ends, Sequence irs, std::uint32_t age_and_mss) const noexcept;

    HashKey key_;
    TimePoint last_ = never; ///< When a cookie was given out last
};

} // namespace sluice::tcp
