// What is remembered of one request. Workers fill it and hand it over as bytes; the log thread turns it into a line.
#pragma once

#include <sluice/base/bytes.hpp>
#include <sluice/base/time.hpp>
#include <sluice/http/message.hpp>
#include <sluice/http/reason.hpp>
#include <sluice/proxy/outcome.hpp>
#include <sluice/wire/address.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace sluice::proxy {

/// Text that is cut to its capacity: a record has one size and lives in no heap.
template <std::size_t capacity>
class FixedText {
public:
    FixedText& operator=(std::string_view text) noexcept
    {
        size_ = static_cast<std::uint16_t>(std::min(text.size(), capacity));
        std::copy_n(text.data(), size_, data_.data());
        return *this;
    }
    [[nodiscard]] std::string_view view() const noexcept { return {data_.data(), size_}; }
    [[nodiscard]] bool empty() const noexcept { return size_ == 0; }

private:
    std::uint16_t size_ = 0;
    std::array<char, capacity> data_;
};

/// Why a server was not the one that answered.
struct FailedAttempt {
    FixedText<46> server;
    Outcome outcome = Outcome::none;
    Duration duration{};
};

/// A stage that was not reached lasts 0. Trivially copyable, so that it may cross to the log thread as bytes.
struct AccessRecord {
    static constexpr std::size_t maximum_failures = 4;

    TimePoint start;       ///< First byte of the request.
    Duration header{};     ///< Until its header was complete.
    Duration connect{};    ///< Until the connection that answered was there (0: reused), failed attempts included.
    Duration first_byte{}; ///< From then until the head of the final response.
    Duration response{};   ///< From then until its end.
    Duration total{};

    wire::Endpoint client;
    wire::Endpoint local;
    FixedText<64> service;
    FixedText<64> pool;
    FixedText<46> server; ///< Name of the server that answered.
    FixedText<16> method;
    FixedText<128> host;
    FixedText<384> target;
    FixedText<128> user_agent;

    std::uint64_t bytes_received = 0; ///< Request body.
    std::uint64_t bytes_sent = 0;     ///< Response body.
    std::uint16_t status = 0;         ///< What the client was told; 499 when it had left.
    std::uint16_t upstream_status = 0;
    http::Version version = http::Version::http11;
    bool secure = false;
    bool reused = false; ///< The server's connection had carried a request before.
    bool tunnel = false; ///< Ended as a WebSocket tunnel; bytes and durations are the tunnel's.
    Outcome outcome = Outcome::none;
    bool has_reason = false;
    http::Reason reason{};          ///< Which rule was broken; valid with `has_reason`.
    std::uint8_t failure_count = 0; ///< Of attempts that failed; `failures` holds the first ones.
    std::array<FailedAttempt, maximum_failures> failures;
};

/// One line of JSON without a line end. `wall_clock_offset`: what to add to the monotonic time to get UTC. Names are
/// contract: docs/proxy.md lists them. Any thread.
[[nodiscard]] std::string format_access_json(const AccessRecord& record, std::string_view node,
                                             Duration wall_clock_offset);

/// The bytes that cross the ring, and back; nothing when the size is not that of a record.
[[nodiscard]] Bytes as_bytes(const AccessRecord& record) noexcept;
[[nodiscard]] std::optional<AccessRecord> access_record_from(Bytes bytes) noexcept;

} // namespace sluice::proxy
