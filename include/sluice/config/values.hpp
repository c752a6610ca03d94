// The small values that the configuration model is made of. Plain data, any thread.
#pragma once

#include <sluice/base/diagnostic.hpp>
#include <sluice/base/time.hpp>
#include <sluice/wire/address.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

namespace sluice::config {

/// Where something stands in the files. It takes no part in comparison, so two models are equal when they mean the
/// same, wherever it was written. Line 0: nobody wrote it, it is a default.
struct Where : SourceLocation {
    [[nodiscard]] bool written() const noexcept { return line != 0; }
    constexpr bool operator==(const Where&) const noexcept { return true; }
};

/// A value that a diagnostic may point at.
template <class T>
struct Located {
    T value{};
    Where where;

    const T& operator*() const noexcept { return value; }
    const T* operator->() const noexcept { return &value; }
    bool operator==(const Located&) const = default;
};

/// A limit; without a value it was switched off with `none`.
template <class T>
struct Limit {
    std::optional<T> value;

    Limit() = default;
    Limit(T limit)
        : value{std::move(limit)} {} // NOLINT(google-explicit-constructor): a limit is written like its value.
    [[nodiscard]] bool unlimited() const noexcept { return !value; }
    [[nodiscard]] T value_or(T otherwise) const { return value.value_or(std::move(otherwise)); }
    bool operator==(const Limit&) const = default;
};

struct ByteSize {
    std::uint64_t bytes = 0;
    auto operator<=>(const ByteSize&) const = default;
};

/// How often in a second.
struct Rate {
    std::uint32_t per_second = 0;
    auto operator<=>(const Rate&) const = default;
};

/// A network, or the name of a list of networks.
struct NetworkOrList {
    std::optional<wire::Prefix> network;
    std::string list; ///< When there is no network.
    bool operator==(const NetworkOrList&) const = default;
};

/// A file's path, already resolved against the folder of the file that named it.
struct FilePath {
    std::string path;
    bool operator==(const FilePath&) const = default;
};

enum class Transport : std::uint8_t { tcp, udp };

/// `ADDR:PORT[-PORT]/PROTO`; both ends of the range belong to it.
struct Listen {
    wire::IpAddress address;
    std::uint16_t first_port = 0;
    std::uint16_t last_port = 0;
    Transport transport = Transport::tcp;
    bool operator==(const Listen&) const = default;
};

/// `ADDR[:PORT]`.
struct ServerAddress {
    wire::IpAddress address;
    std::uint16_t port = 0; ///< 0: the one that the client used.
    auto operator<=>(const ServerAddress&) const = default;
};

/// HTTP status codes, both ends included.
struct StatusRange {
    std::uint16_t first = 200;
    std::uint16_t last = 299;
    bool operator==(const StatusRange&) const = default;
};

/// What a UDP check sends or expects: any bytes. Written as text, or as `hex:` and hexadecimal digits.
struct Payload {
    std::string bytes;
    bool operator==(const Payload&) const = default;
};

} // namespace sluice::config
