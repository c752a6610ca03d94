// Text to values and back, with what is wrong said in words.
#pragma once

#include <sluice/base/result.hpp>
#include <sluice/config/values.hpp>

#include <string_view>

namespace sluice::config {

struct Wrong {
    std::string message;
    std::string hint;
};

template <class T>
using Parsed = Expected<T, Wrong>;

/// Decimal digits only, with a sign only where the range allows one.
[[nodiscard]] Parsed<std::int64_t> parse_number(std::string_view text, std::int64_t least, std::int64_t most);
[[nodiscard]] Parsed<bool> parse_bool(std::string_view text);
[[nodiscard]] Parsed<Duration> parse_duration(std::string_view text); ///< `250ms`
[[nodiscard]] Parsed<ByteSize> parse_size(std::string_view text);     ///< `4MiB`
[[nodiscard]] Parsed<wire::IpAddress> parse_address(std::string_view text);
[[nodiscard]] Parsed<wire::Prefix> parse_prefix(std::string_view text);
/// A network, or a name.
[[nodiscard]] Parsed<NetworkOrList> parse_network_or_list(std::string_view text);
[[nodiscard]] Parsed<Rate> parse_rate(std::string_view text);
[[nodiscard]] Parsed<wire::Endpoint> parse_endpoint(std::string_view text);
[[nodiscard]] Parsed<Listen> parse_listen(std::string_view text);        ///< `ADDR:PORT[-PORT]/PROTO`
[[nodiscard]] Parsed<ServerAddress> parse_server(std::string_view text); ///< `ADDR[:PORT]`
[[nodiscard]] Parsed<StatusRange> parse_status_range(std::string_view text);
[[nodiscard]] Parsed<Payload> parse_payload(std::string_view text);

[[nodiscard]] std::string show(Duration value);
[[nodiscard]] std::string show(ByteSize value);
[[nodiscard]] std::string show(Rate value);
[[nodiscard]] std::string show(const NetworkOrList& value);
[[nodiscard]] std::string show(const Listen& value);
[[nodiscard]] std::string show(const ServerAddress& value);
[[nodiscard]] std::string show(const StatusRange& value);
[[nodiscard]] std::string show(const Payload& value);

/// What a text field holds.
enum class Text : std::uint8_t {
    any,
    name,         ///< `[A-Za-z0-9][A-Za-z0-9._-]*`
    group,        ///< A group of the operating system.
    interface,    ///< A network interface of the kernel: 1 to 15 characters.
    pci,          ///< `0000:3b:00.0`
    vdev,         ///< A DPDK virtual device.
    host,         ///< A host name or address, as it stands in a Host field.
    host_pattern, ///< `example.org` or `*.example.org`
    uri_path,     ///< Starts with `/`; only what RFC 3986 §3.3 allows, and a query where one makes sense.
    header_name,  ///< A token of RFC 9110 §5.6.2.
    header_value, ///< RFC 9110 §5.5.
};

[[nodiscard]] std::string_view text_kind(Text kind) noexcept; ///< For messages and the reference page.
/// The text as it is stored: host names in lower case, the rest unchanged.
[[nodiscard]] Parsed<std::string> parse_text(std::string_view text, Text kind);

} // namespace sluice::config
