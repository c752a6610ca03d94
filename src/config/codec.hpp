// Codecs of what is made of other values: places, limits, lists and maps. Maps come from their Schema.
#pragma once

#include <config/codec_values.hpp>

#include <algorithm>

namespace sluice::config {

template <class T>
struct Codec<Located<T>> {
    static void read(Reading& reading, const Place& place, const Rules& rules, Located<T>& out)
    {
        const std::size_t before = reading.report.errors();
        Codec<T>::read(reading, place, rules, out.value);
        if (reading.report.errors() == before) {
            out.where = reading.where(place.node.mark);
        }
    }
    static Node write(const Located<T>& value) { return Codec<T>::write(value.value); }
    static std::string kind(const Rules& rules) { return Codec<T>::kind(rules); }
};

template <class T>
struct Codec<std::optional<T>> {
    static void read(Reading& reading, const Place& place, const Rules& rules, std::optional<T>& out)
    {
        const std::size_t before = reading.report.errors();
        Codec<T>::read(reading, place, rules, out.emplace());
        if (!Described<T> && reading.report.errors() != before) {
            out.reset();
        }
    }
    static Node write(const std::optional<T>& value) { return value ? Codec<T>::write(*value) : Node{}; }
    static std::string kind(const Rules& rules) { return Codec<T>::kind(rules); }
};

template <class T>
inline constexpr bool is_optional = false;
template <class T>
inline constexpr bool is_optional<std::optional<T>> = true;

template <class T>
struct Codec<Limit<T>> {
    static void read(Reading& reading, const Place& place, const Rules& rules, Limit<T>& out)
    {
        if (place.node.kind == Node::Kind::scalar && place.node.text == "none") {
            out.value.reset();
            return;
        }
        if (place.node.kind == Node::Kind::scalar && place.node.text.find_first_of("123456789") == std::string::npos &&
            place.node.text.starts_with('0')) {
            report_wrong(reading, place, {tick(place.node.text) + " does not switch a limit off", "write `none`"});
            return;
        }
        T value{};
        const std::size_t before = reading.report.errors();
        Codec<T>::read(reading, place, rules, value);
        if (reading.report.errors() == before) {
            out.value = value;
        }
    }
    static Node write(const Limit<T>& value) { return value.value ? Codec<T>::write(*value.value) : text_node("none"); }
    static std::string kind(const Rules& rules) { return Codec<T>::kind(rules) + " or `none`"; }
};

template <class T>
struct Codec<std::vector<T>> {
    static void read(Reading& reading, const Place& place, const Rules& rules, std::vector<T>& out)
    {
        out.clear();
        if (rules.one_or_list && place.node.kind == Node::Kind::scalar) {
            const std::size_t before = reading.report.errors();
            Codec<T>::read(reading, place, rules, out.emplace_back());
            if (reading.report.errors() != before) {
                out.clear();
            }
            return;
        }
        if (!expect_list(reading, place, "a list")) {
            return;
        }
        if (place.node.items.empty() && rules.required) {
            report_wrong(reading, place, {"this list is empty", "it needs at least one item"});
        }
        out.reserve(place.node.items.size());
        for (const Node& item : place.node.items) {
            const std::size_t before = reading.report.errors();
            Codec<T>::read(reading, {item, item.mark}, rules, out.emplace_back());
            if (!Described<T> && reading.report.errors() != before) {
                out.pop_back(); // A value that nobody wrote would only be the cause of further findings.
            }
        }
    }
    static Node write(const std::vector<T>& values)
    {
        Node node;
        node.kind = Node::Kind::list;
        for (const T& value : values) {
            node.items.push_back(Codec<T>::write(value));
        }
        return node;
    }
    static std::string kind(const Rules& rules)
    {
        return (rules.one_or_list ? "one or a list: " : "list: ") + Codec<T>::kind(rules);
    }
};

/// A map of header names to values.
template <>
struct Codec<std::vector<HeaderField>> {
    static void read(Reading& reading, const Place& place, const Rules& rules, std::vector<HeaderField>& out);
    static Node write(const std::vector<HeaderField>& values);
    static std::string kind(const Rules&) { return "map of header names to values"; }
};

template <Described T>
struct Codec<T> {
    static void read(Reading& reading, const Place& place, const Rules&, T& out)
    {
        out.where = reading.where(place.node.mark);
        if (reading.defaults != nullptr) {
            apply_defaults(out, *reading.defaults);
        }
        if (!expect_map(reading, place, "a map")) {
            return;
        }
        report_unknown(reading, place);
        std::apply([&](const auto&... fields) { (read_field(reading, place, fields, out), ...); }, Schema<T>::fields);
        if constexpr (Alternative<T>) {
            check_alternative(reading, place, Schema<T>::one_of);
        }
    }

    static Node write(const T& value)
    {
        Node node;
        node.kind = Node::Kind::map;
        std::apply(
            [&](const auto&... fields) {
                const auto add = [&](const auto& each) {
                    using Member = std::remove_cvref_t<decltype(value.*each.member)>;
                    Node child = Codec<Member>::write(value.*each.member);
                    if (child.kind != Node::Kind::null && (is_optional<Member> || !says_nothing(child, each.rules))) {
                        node.entries.push_back({std::string{each.name}, {}, std::move(child)});
                    }
                };
                (add(fields), ...);
                (void)add;
            },
            Schema<T>::fields);
        return node;
    }
    static std::string kind(const Rules&) { return "map"; }

    static std::vector<std::string_view> names()
    {
        std::vector<std::string_view> all;
        std::apply([&](const auto&... fields) { (all.push_back(fields.name), ...); }, Schema<T>::fields);
        if constexpr (std::same_as<T, Model>) {
            all.push_back("include");
        }
        return all;
    }

private:
    /// An empty text, list or map that means the same as leaving the key out.
    static bool says_nothing(const Node& node, const Rules& rules)
    {
        const bool empty = node.text.empty() && node.items.empty() && node.entries.empty();
        return empty && (node.kind == Node::Kind::list || !rules.unset.empty());
    }

    static void report_unknown(Reading& reading, const Place& place)
    {
        const std::vector<std::string_view> allowed = names();
        for (const Entry& entry : place.node.entries) {
            if (std::find(allowed.begin(), allowed.end(), entry.key) == allowed.end()) {
                report_unknown_key(reading, entry, Schema<T>::text, allowed);
            }
        }
    }

    template <class Member>
    static void read_field(Reading& reading, const Place& place, const Field<T, Member>& field, T& out)
    {
        const Entry* entry = place.node.find(field.name);
        const std::size_t before = reading.report.errors();
        if (entry != nullptr) {
            Codec<Member>::read(reading, {entry->value, entry->mark}, field.rules, out.*field.member);
        } else if (field.rules.required) {
            report_missing(reading, place, field.name, field.text);
        }
        if constexpr (std::same_as<T, Model>) {
            if (reading.report.errors() != before) {
                reading.unclean.insert(field.name);
            }
        }
    }
};

} // namespace sluice::config
