#include <sluice/http/fields.hpp>

#include "http/characters.hpp"

#include <algorithm>
#include <limits>

namespace sluice::http {

bool equal_ignoring_case(std::string_view left, std::string_view right) noexcept
{
    if (left.size() != right.size()) {
        return false;
    }
    for (std::size_t at = 0; at < left.size(); ++at) {
        if (lower(left[at]) != lower(right[at])) {
            return false;
        }
    }
    return true;
}

bool is_token(std::string_view text) noexcept { return !text.empty() && all(token_character, text); }

bool is_field_value(std::string_view text) noexcept
{
    return find_non_value(text) == std::string_view::npos && trim_white_space(text).size() == text.size();
}

std::uint16_t Fields::tag_of(std::string_view name) noexcept
{
    if (name.empty()) {
        return 0;
    }
    const auto first = static_cast<unsigned char>(lower(name.front()));
    const auto last = static_cast<unsigned char>(lower(name.back()));
    return static_cast<std::uint16_t>((first | (static_cast<unsigned>(last) << 8U)) ^ (name.size() * 0x9dU));
}

std::size_t Fields::position(std::string_view name, std::size_t from) const noexcept
{
    const std::uint16_t tag = tag_of(name);
    for (std::size_t at = from; at < entries_.size(); ++at) {
        const Entry& entry = entries_[at];
        if (entry.tag == tag && entry.name_length == name.size() && equal_ignoring_case(view(entry).name, name)) {
            return at;
        }
    }
    return npos;
}

bool Fields::store(std::string_view name, std::string_view value, Entry& out)
{
    if (name.size() > std::numeric_limits<std::uint16_t>::max() || value.size() > cap_bytes_ ||
        name.size() > cap_bytes_ - value.size() || arena_.size() > cap_bytes_ - value.size() - name.size()) {
        return false;
    }
    out.offset = static_cast<std::uint32_t>(arena_.size());
    out.value_length = static_cast<std::uint32_t>(value.size());
    out.name_length = static_cast<std::uint16_t>(name.size());
    out.tag = tag_of(name);
    const std::size_t needed = arena_.size() + name.size() + value.size();
    if (needed <= arena_.capacity()) {
        arena_.append(name).append(value);
        return true;
    }
    // The arguments may be views of this arena: they must outlive its growth.
    std::string grown;
    grown.reserve(std::max<std::size_t>({needed, arena_.capacity() * 2, 512}));
    grown.append(arena_).append(name).append(value);
    arena_.swap(grown);
    return true;
}

bool Fields::add(std::string_view name, std::string_view value)
{
    Entry entry{};
    if (!store(name, value, entry)) {
        return false;
    }
    if (entries_.capacity() == 0) {
        entries_.reserve(16);
    }
    entries_.push_back(entry);
    return true;
}

bool Fields::set(std::string_view name, std::string_view value)
{
    const std::size_t first = position(name, 0);
    if (first == npos) {
        return add(name, value);
    }
    Entry entry{};
    if (!store(name, value, entry)) {
        return false;
    }
    entries_[first] = entry;
    const std::string_view stored = view(entry).name;
    std::size_t kept = first + 1;
    for (std::size_t at = first + 1; at < entries_.size(); ++at) {
        if (!equal_ignoring_case(view(entries_[at]).name, stored)) {
            entries_[kept++] = entries_[at];
        }
    }
    entries_.resize(kept);
    return true;
}

std::size_t Fields::remove(std::string_view name) noexcept
{
    const std::size_t first = position(name, 0);
    if (first == npos) {
        return 0;
    }
    return remove_if([name](const Field& field) { return equal_ignoring_case(field.name, name); });
}

void Fields::clear() noexcept
{
    arena_.clear();
    entries_.clear();
}

std::optional<std::string_view> Fields::find(std::string_view name) const noexcept
{
    const std::size_t at = position(name, 0);
    return at == npos ? std::nullopt : std::optional{view(entries_[at]).value};
}

std::size_t Fields::count(std::string_view name) const noexcept
{
    std::size_t found = 0;
    for (std::size_t at = position(name, 0); at != npos; at = position(name, at + 1)) {
        ++found;
    }
    return found;
}

bool Fields::list_contains(std::string_view name, std::string_view member) const noexcept
{
    bool found = false;
    for_each(name, [&](std::string_view list) {
        for_each_list_member(
            list, [&](std::string_view candidate) { found = found || equal_ignoring_case(candidate, member); });
    });
    return found;
}

std::size_t Fields::http2_list_size() const noexcept
{
    std::size_t total = 0;
    for (const Field field : *this) {
        total += field.name.size() + field.value.size() + 32;
    }
    return total;
}

} // namespace sluice::http
