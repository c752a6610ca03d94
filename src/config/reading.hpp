// What decoding a tree needs besides the tree, and the messages that every kind of value shares.
#pragma once

#include <config/scalars.hpp>
#include <config/tree.hpp>
#include <sluice/config/model.hpp>

#include <set>
#include <span>

namespace sluice::config {

struct Reading {
    Report& report;
    const Defaults* defaults = nullptr;      ///< Of the model that is being read.
    std::set<std::string_view> unclean = {}; ///< Top-level keys in which something could not be read.

    [[nodiscard]] Where where(const Mark& mark) const { return report.sources().where(mark); }
};

/// A value together with the key or the list item that it stands at.
struct Place {
    const Node& node;
    Mark key; ///< Where to point when there is no value.
};

/// Reports and returns false unless the place holds one text, number or word. `quotes`: whether it may be quoted.
[[nodiscard]] bool expect_scalar(Reading& reading, const Place& place, std::string_view what, bool quotes = true);
[[nodiscard]] bool expect_list(Reading& reading, const Place& place, std::string_view what);
[[nodiscard]] bool expect_map(Reading& reading, const Place& place, std::string_view what);

void report_wrong(Reading& reading, const Place& place, const Wrong& wrong);
void report_unknown_key(Reading& reading, const Entry& entry, std::string_view section,
                        std::span<const std::string_view> allowed);
void report_unknown_word(Reading& reading, const Place& place, std::string_view what,
                         std::span<const std::string_view> allowed);
void report_missing(Reading& reading, const Place& place, std::string_view key, std::string_view text);
/// Exactly one of these keys must stand in the map.
void check_alternative(Reading& reading, const Place& place, std::span<const std::string_view> one_of);

/// A path as it stands in a file: relative ones start at the folder of that file.
[[nodiscard]] std::string resolve_path(std::string_view path, const std::string& from_file);

/// built-in < defaults < own key: what `defaults` says, before a map's own keys are read.
template <class T>
void apply_defaults(T&, const Defaults&)
{
}
void apply_defaults(Proxy& proxy, const Defaults& defaults);
void apply_defaults(Forward& forward, const Defaults& defaults);
void apply_defaults(Pool& pool, const Defaults& defaults);
void apply_defaults(HealthCheck& health, const Defaults& defaults);

} // namespace sluice::config
