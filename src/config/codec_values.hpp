// How every kind of single value is read from the tree, written to it, and named on the reference page: Codec<T>,
// chosen by the type of the model's member.
#pragma once

#include <config/names.hpp>
#include <config/quote.hpp>
#include <config/reading.hpp>
#include <config/schema.hpp>

#include <concepts>
#include <vector>

namespace sluice::config {

/// read() reports what is wrong and leaves `out` as it was where nothing could be read.
/// write() makes the tree that read() understands. kind() names the type for the reference page.
template <class T>
struct Codec;

[[nodiscard]] inline Node text_node(std::string text, bool quoted = false)
{
    Node node;
    node.kind = Node::Kind::scalar;
    node.text = std::move(text);
    node.quoted = quoted;
    return node;
}

template <class T>
void store(Reading& reading, const Place& place, T& out, Parsed<T> parsed)
{
    if (parsed) {
        out = std::move(*parsed);
    } else {
        report_wrong(reading, place, parsed.error());
    }
}

template <std::integral T>
struct Codec<T> {
    static constexpr std::int64_t most(const Rules& rules)
    {
        return std::min(rules.most, static_cast<std::int64_t>(std::numeric_limits<T>::max()));
    }
    static void read(Reading& reading, const Place& place, const Rules& rules, T& out)
    {
        if (!expect_scalar(reading, place, "a number", false)) {
            return;
        }
        if (auto number = parse_number(place.node.text, rules.least, most(rules))) {
            out = static_cast<T>(*number);
        } else {
            report_wrong(reading, place, number.error());
        }
    }
    static Node write(T value) { return text_node(std::to_string(value)); }
    static std::string kind(const Rules& rules)
    {
        return "number " + std::to_string(rules.least) + ".." + std::to_string(most(rules));
    }
};

template <>
struct Codec<bool> {
    static void read(Reading& reading, const Place& place, const Rules&, bool& out)
    {
        if (expect_scalar(reading, place, "`true` or `false`", false)) {
            store(reading, place, out, parse_bool(place.node.text));
        }
    }
    static Node write(bool value) { return text_node(value ? "true" : "false"); }
    static std::string kind(const Rules&) { return "`true` `false`"; }
};

template <>
struct Codec<Duration> {
    static void read(Reading& reading, const Place& place, const Rules& rules, Duration& out)
    {
        if (!expect_scalar(reading, place, "a duration")) {
            return;
        }
        Duration value{};
        const std::size_t before = reading.report.errors();
        store(reading, place, value, parse_duration(place.node.text));
        if (reading.report.errors() != before) {
            return;
        }
        if (value.count() < rules.least || value.count() > rules.most) {
            report_wrong(reading, place, {tick(place.node.text) + " is out of range", range(rules)});
            return;
        }
        out = value;
    }
    static Node write(Duration value) { return text_node(show(value)); }
    static std::string range(const Rules& rules)
    {
        return show(Duration{rules.least}) + ".." + show(Duration{rules.most});
    }
    static std::string kind(const Rules& rules) { return "duration " + range(rules); }
};

template <>
struct Codec<ByteSize> {
    static void read(Reading& reading, const Place& place, const Rules& rules, ByteSize& out)
    {
        if (!expect_scalar(reading, place, "a size")) {
            return;
        }
        auto size = parse_size(place.node.text);
        if (!size) {
            report_wrong(reading, place, size.error());
        } else if (static_cast<std::int64_t>(size->bytes) < rules.least ||
                   static_cast<std::int64_t>(size->bytes) > rules.most) {
            report_wrong(reading, place, {tick(place.node.text) + " is out of range", range(rules)});
        } else {
            out = *size;
        }
    }
    static Node write(ByteSize value) { return text_node(show(value)); }
    static std::string range(const Rules& rules)
    {
        return show(ByteSize{static_cast<std::uint64_t>(rules.least)}) + ".." +
               show(ByteSize{static_cast<std::uint64_t>(rules.most)});
    }
    static std::string kind(const Rules& rules) { return "size " + range(rules); }
};

template <>
struct Codec<Rate> {
    static void read(Reading& reading, const Place& place, const Rules& rules, Rate& out)
    {
        if (!expect_scalar(reading, place, "a rate")) {
            return;
        }
        auto rate = parse_rate(place.node.text);
        if (!rate) {
            report_wrong(reading, place, rate.error());
        } else if (rate->per_second < rules.least || rate->per_second > rules.most) {
            report_wrong(reading, place, {tick(place.node.text) + " is out of range", range(rules)});
        } else {
            out = *rate;
        }
    }
    static Node write(Rate value) { return text_node(show(value)); }
    static std::string range(const Rules& rules)
    {
        return std::to_string(rules.least) + "/s.." + std::to_string(rules.most) + "/s";
    }
    static std::string kind(const Rules& rules) { return "rate " + range(rules); }
};

template <>
struct Codec<std::string> {
    static void read(Reading& reading, const Place& place, const Rules& rules, std::string& out)
    {
        if (expect_scalar(reading, place, "a " + std::string{text_kind(rules.text)})) {
            store(reading, place, out, parse_text(place.node.text, rules.text));
        }
    }
    static Node write(const std::string& value) { return text_node(value); }
    static std::string kind(const Rules& rules) { return std::string{text_kind(rules.text)}; }
};

/// A value that is one word, parsed and shown by scalars.hpp.
template <class T, Parsed<T> (*Parse)(std::string_view)>
struct WordCodec {
    static void read_word(Reading& reading, const Place& place, std::string_view what, T& out)
    {
        if (expect_scalar(reading, place, what)) {
            store(reading, place, out, Parse(place.node.text));
        }
    }
};

#define SLUICE_WORD_CODEC(type, parse, shown, what)                                                                    \
    template <>                                                                                                        \
    struct Codec<type> : WordCodec<type, parse> {                                                                      \
        static void read(Reading& reading, const Place& place, const Rules&, type& out)                                \
        {                                                                                                              \
            read_word(reading, place, what, out);                                                                      \
        }                                                                                                              \
        static Node write(const type& value) { return text_node(shown); }                                              \
        static std::string kind(const Rules&)                                                                          \
        {                                                                                                              \
            return std::string{what}.substr(std::string_view{what}.find(' ') + 1);                                     \
        }                                                                                                              \
    };
SLUICE_WORD_CODEC(wire::IpAddress, parse_address, value.to_string(), "an address")
SLUICE_WORD_CODEC(wire::Prefix, parse_prefix, value.to_string(), "a network")
SLUICE_WORD_CODEC(wire::Endpoint, parse_endpoint, value.to_string(), "an ADDR:PORT")
SLUICE_WORD_CODEC(Listen, parse_listen, show(value), "an ADDR:PORT[-PORT]/PROTO")
SLUICE_WORD_CODEC(ServerAddress, parse_server, show(value), "an ADDR[:PORT]")
SLUICE_WORD_CODEC(StatusRange, parse_status_range, show(value), "a status or range")
SLUICE_WORD_CODEC(NetworkOrList, parse_network_or_list, show(value), "a network or list")
SLUICE_WORD_CODEC(Payload, parse_payload, show(value), "some bytes")
#undef SLUICE_WORD_CODEC

template <>
struct Codec<FilePath> {
    static void read(Reading& reading, const Place& place, const Rules&, FilePath& out)
    {
        if (!expect_scalar(reading, place, "a file's path")) {
            return;
        }
        if (place.node.text.empty() || place.node.text.find('\0') != std::string::npos) {
            report_wrong(reading, place, {"this is not a file's path", {}});
            return;
        }
        out.path = resolve_path(place.node.text, reading.where(place.node.mark).file);
    }
    static Node write(const FilePath& value) { return text_node(value.path); }
    static std::string kind(const Rules&) { return "file"; }
};

template <>
struct Codec<LogTarget> {
    static void read(Reading& reading, const Place& place, const Rules& rules, LogTarget& out)
    {
        if (place.node.kind == Node::Kind::scalar && place.node.text == "stderr") {
            out.file.path.clear();
        } else {
            Codec<FilePath>::read(reading, place, rules, out.file);
        }
    }
    static Node write(const LogTarget& value) { return text_node(value.is_stderr() ? "stderr" : value.file.path); }
    static std::string kind(const Rules&) { return "`stderr` or file"; }
};

template <Named T>
struct Codec<T> {
    static void read(Reading& reading, const Place& place, const Rules&, T& out)
    {
        if (!expect_scalar(reading, place, "a word")) {
            return;
        }
        std::vector<std::string_view> allowed;
        for (const auto& item : Names<T>::table) {
            if (item.name == place.node.text) {
                out = item.value;
                return;
            }
            allowed.push_back(item.name);
        }
        report_unknown_word(reading, place, "word", allowed);
    }
    static Node write(T value) { return text_node(std::string{name_of(value).name}); }
    static std::string kind(const Rules&)
    {
        std::string text;
        for (const auto& item : Names<T>::table) {
            text += (text.empty() ? "`" : " `") + std::string{item.name} + "`";
        }
        return text;
    }
};

} // namespace sluice::config
