// The keys that protect session tickets (RFC 5077, RFC 8446 section 4.6.1). Every worker, every generation and the peer
// node use the same set, so a session resumes wherever its client lands.
#pragma once

#include <sluice/base/bytes.hpp>
#include <sluice/base/result.hpp>
#include <sluice/tls/load_error.hpp>

#include <array>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::tls {

/// One key as OpenSSL's ticket callback wants it. Secrets: erased when destroyed, never printed.
struct TicketKey {
    std::array<std::byte, 16> name{};
    std::array<std::byte, 32> cipher_key{}; ///< AES-256-CBC, or AES-128-CBC in the first half.
    std::array<std::byte, 32> mac_key{};    ///< HMAC-SHA-256; 16 bytes when the file has 48.
    bool wide = true;                       ///< From 80 bytes (AES-256), not 48 (AES-128).

    TicketKey() = default;
    TicketKey(const TicketKey&) = default;
    TicketKey& operator=(const TicketKey&) = default;
    ~TicketKey();
};

/// An immutable set: the first key encrypts, all decrypt; a ticket of another key than the first is renewed.
class TicketKeys {
public:
    /// A file holds 48 or 80 random bytes in Nginx's layouts: name(16) cipher(16) mac(16), or name(16) mac(32)
    /// cipher(32). Make one with `openssl rand 80`. Rotate by putting a new file first and keeping the old one second.
    [[nodiscard]] static Expected<std::shared_ptr<const TicketKeys>, LoadError>
    load(std::span<const std::string> paths);
    /// One key from the bytes of a file; `source` names it in errors.
    [[nodiscard]] static Expected<TicketKey, LoadError> parse(Bytes bytes, std::string_view source);
    /// For a node without key files: make it once per process and give it to every ServerContext, or sessions end
    /// with each reload.
    [[nodiscard]] static std::shared_ptr<const TicketKeys> random();

    explicit TicketKeys(std::vector<TicketKey> keys); ///< At least one.

    [[nodiscard]] const TicketKey& current() const noexcept { return keys_.front(); }
    /// Null when no key has this name (16 bytes).
    [[nodiscard]] const TicketKey* find(Bytes name) const noexcept;
    [[nodiscard]] std::size_t size() const noexcept { return keys_.size(); }

private:
    std::vector<TicketKey> keys_;
};

} // namespace sluice::tls
