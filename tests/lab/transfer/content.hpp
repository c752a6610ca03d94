// What passes over a connection, and how both ends judge it. The client sends
//
//     header (32 bytes)  content of `up` bytes  FIN
//
// and the server, at the same time, `down` bytes of other content; when it has seen the client's FIN it adds a receipt
// of 16 bytes and ends its side. Each end makes the content it expects, so a byte that is lost, doubled or changed is
// found, and where it was.
#pragma once

#include <sluice/base/bytes.hpp>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace sluice::transfer {

/// Pseudo-random bytes, any part of which can be made.
class Content {
public:
    explicit Content(std::uint64_t seed) noexcept : seed_{seed} {}

    void write(std::uint64_t offset, MutableBytes to) const noexcept;
    /// How many bytes from the front of `bytes` are the content's from `offset` on.
    [[nodiscard]] std::size_t matching(std::uint64_t offset, Bytes bytes) const noexcept;

private:
    std::uint64_t seed_;
};

struct Header {
    static constexpr std::size_t size = 32;

    std::uint64_t seed = 0;
    std::uint64_t up = 0; ///< At most; the client may end earlier, for lack of time
    std::uint64_t down = 0;

    [[nodiscard]] std::array<std::byte, size> encode() const noexcept;
    [[nodiscard]] static std::optional<Header> decode(Bytes bytes) noexcept;
    [[nodiscard]] Content up_content() const noexcept { return Content{seed}; }
    [[nodiscard]] Content down_content() const noexcept { return Content{~seed}; }
};

struct Receipt {
    static constexpr std::size_t size = 16;
    static constexpr std::uint64_t nothing = ~std::uint64_t{0};

    std::uint64_t received = 0;
    std::uint64_t wrong_at = nothing; ///< The first byte that was not the content's

    [[nodiscard]] std::array<std::byte, size> encode() const noexcept;
    [[nodiscard]] static Receipt decode(Bytes bytes) noexcept;
};

/// Judges what arrives.
class Inspector {
public:
    explicit Inspector(const Content& content) noexcept : content_{content} {}

    void take(Bytes bytes) noexcept;
    [[nodiscard]] const Receipt& receipt() const noexcept { return receipt_; }

private:
    Content content_;
    Receipt receipt_;
};

/// What a client reads: content of a known size, then the receipt.
class Answer {
public:
    Answer(const Content& content, std::uint64_t size) noexcept : inspector_{content}, left_{size} {}

    void take(Bytes bytes) noexcept;
    /// Empty when everything is as it must be. `sent` is what the server must have received.
    [[nodiscard]] std::string fault(std::uint64_t sent) const;

private:
    Inspector inspector_;
    std::uint64_t left_; ///< Content to come
    std::array<std::byte, Receipt::size> tail_{};
    std::size_t tail_size_ = 0;
    bool excess_ = false;
};

/// One transfer that a client makes.
struct Job {
    std::uint64_t up = 0;
    std::uint64_t down = 0;
};

/// What both kinds of host are told.
struct Settings {
    std::string address; ///< Own
    std::string peer;    ///< Of a client
    std::uint16_t port = 0;
    std::string interface = "eth0";      ///< Of ours
    std::vector<std::string> neighbours; ///< Of ours: ADDRESS=MAC of everybody on the other end
    std::uint64_t seed = 1;              ///< Of a client
    double seconds = 0;                  ///< After which a client ends its side; 0: when everything is sent
    bool together = false;               ///< All jobs at once
    std::vector<Job> jobs;               ///< Empty: a server
    [[nodiscard]] bool serves() const noexcept { return jobs.empty(); }
};

/// What a client has seen of one transfer; a line of JSON.
void report(const Job& done, double seconds, const std::string& fault);
/// The end of a process: segments that it sent again; a line of JSON.
void report_retransmissions(std::uint64_t segments);

/// A server runs until SIGTERM, a client until its jobs are done. The exit code.
int run_kernel(const Settings& settings);
int run_ours(const Settings& settings);

} // namespace sluice::transfer
