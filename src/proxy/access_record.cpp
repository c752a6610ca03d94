#include <sluice/proxy/access_record.hpp>

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <type_traits>

namespace sluice::proxy {
namespace {

static_assert(std::is_trivially_copyable_v<AccessRecord>);

/// The length of the UTF-8 sequence at the front, or 0 when it is none (RFC 3629 section 4).
std::size_t utf8_length(std::string_view text) noexcept
{
    const auto byte = [&](std::size_t index) { return static_cast<unsigned char>(text[index]); };
    const unsigned char lead = byte(0);
    const std::size_t length = lead < 0x80                    ? 1
                               : lead >= 0xc2 && lead <= 0xdf ? 2
                               : (lead & 0xf0U) == 0xe0       ? 3
                               : lead >= 0xf0 && lead <= 0xf4 ? 4
                                                              : 0;
    if (length == 0 || length > text.size()) {
        return 0;
    }
    for (std::size_t index = 1; index < length; ++index) {
        if ((byte(index) & 0xc0U) != 0x80) {
            return 0;
        }
    }
    const bool overlong = (lead == 0xe0 && byte(1) < 0xa0) || (lead == 0xf0 && byte(1) < 0x90);
    const bool surrogate_or_beyond = (lead == 0xed && byte(1) > 0x9f) || (lead == 0xf4 && byte(1) > 0x8f);
    return overlong || surrogate_or_beyond ? 0 : length;
}

/// Clients choose these bytes, so every line must stay one line of valid JSON whatever they are.
void append_string(std::string& out, std::string_view text)
{
    out += '"';
    while (!text.empty()) {
        const std::size_t length = utf8_length(text);
        const char c = text.front();
        if (length == 0) {
            out += "\\ufffd";
        } else if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
            fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<unsigned>(c));
        } else {
            out += text.substr(0, length);
        }
        text.remove_prefix(length == 0 ? 1 : length);
    }
    out += '"';
}

class Line {
public:
    void text(std::string_view key, std::string_view value)
    {
        name(key);
        append_string(out, value);
    }
    void optional_text(std::string_view key, std::string_view value)
    {
        if (!value.empty()) {
            text(key, value);
        }
    }
    void number(std::string_view key, std::uint64_t value)
    {
        name(key);
        out += std::to_string(value);
    }
    void boolean(std::string_view key, bool value)
    {
        name(key);
        out += value ? "true" : "false";
    }
    void seconds(std::string_view key, Duration value)
    {
        name(key);
        fmt::format_to(std::back_inserter(out), "{}.{:06}", value / std::chrono::seconds{1},
                       value % std::chrono::seconds{1} / std::chrono::microseconds{1});
    }
    void name(std::string_view key)
    {
        out += out.empty() || out.back() == '{' || out.back() == '[' ? "" : ",";
        append_string(out, key);
        out += ':';
    }

    std::string out = "{";
};

std::string utc(TimePoint at, Duration wall_clock_offset)
{
    const auto since_epoch = at.time_since_epoch() + wall_clock_offset;
    const auto whole = std::chrono::floor<std::chrono::seconds>(since_epoch);
    return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:06}Z", fmt::gmtime(static_cast<std::time_t>(whole.count())),
                       (since_epoch - whole) / std::chrono::microseconds{1});
}

std::string_view protocol(http::Version version) noexcept
{
    switch (version) {
    case http::Version::http10:
        return "HTTP/1.0";
    case http::Version::http11:
        return "HTTP/1.1";
    case http::Version::http2:
        return "HTTP/2";
    }
    return "";
}

void append_failures(Line& line, const AccessRecord& record)
{
    if (record.failure_count == 0) {
        return;
    }
    line.name("failed_attempts");
    line.out += '[';
    for (std::size_t index = 0; index < std::min<std::size_t>(record.failure_count, AccessRecord::maximum_failures);
         ++index) {
        const FailedAttempt& failed = record.failures[index];
        line.out += index == 0 ? "{" : ",{";
        line.text("server", failed.server.view());
        line.text("reason", text(failed.outcome).name);
        line.seconds("duration_seconds", failed.duration);
        line.out += '}';
    }
    line.out += ']';
}

} // namespace

std::string format_access_json(const AccessRecord& record, std::string_view node, Duration wall_clock_offset)
{
    Line line;
    line.number("schema", 1);
    line.text("node", node);
    line.text("time", utc(record.start, wall_clock_offset));
    line.text("client", record.client.to_string());
    line.text("service", record.service.view());
    line.text("local", record.local.to_string());
    line.text("protocol", protocol(record.version));
    line.boolean("tls", record.secure);
    line.text("method", record.method.view());
    line.text("host", record.host.view());
    line.text("target", record.target.view());
    line.optional_text("user_agent", record.user_agent.view());
    line.number("status", record.status);
    line.optional_text("pool", record.pool.view());
    line.optional_text("server", record.server.view());
    if (record.upstream_status != 0) {
        line.number("upstream_status", record.upstream_status);
        line.boolean("upstream_reused", record.reused);
    }
    if (record.tunnel) {
        line.boolean("tunnel", true);
    }
    line.number("received_bytes", record.bytes_received);
    line.number("sent_bytes", record.bytes_sent);
    line.seconds("header_seconds", record.header);
    line.seconds("connect_seconds", record.connect);
    line.seconds("first_byte_seconds", record.first_byte);
    line.seconds("response_seconds", record.response);
    line.seconds("total_seconds", record.total);
    if (record.outcome != Outcome::none) {
        line.text("side", to_string(text(record.outcome).side));
        line.text("reason", text(record.outcome).name);
    }
    if (record.has_reason) {
        line.text("rule", http::name(record.reason));
    }
    append_failures(line, record);
    line.out += '}';
    return std::move(line.out);
}

Bytes as_bytes(const AccessRecord& record) noexcept
{
    return {reinterpret_cast<const std::byte*>(&record), sizeof record};
}

std::optional<AccessRecord> access_record_from(Bytes bytes) noexcept
{
    AccessRecord record;
    if (bytes.size() != sizeof record) {
        return std::nullopt;
    }
    std::memcpy(static_cast<void*>(&record), bytes.data(), sizeof record);
    return record;
}

} // namespace sluice::proxy
