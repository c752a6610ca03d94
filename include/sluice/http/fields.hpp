// An ordered list of header or trailer fields (RFC 9110 section 5) in one block of memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::http {

struct Field {
    std::string_view name; ///< As received; HTTP/2 names are lower case.
    std::string_view value;

    bool operator==(const Field&) const = default;
};

/// ASCII only, as RFC 9110 compares names, tokens and hosts.
[[nodiscard]] bool equal_ignoring_case(std::string_view left, std::string_view right) noexcept;
/// RFC 9110 section 5.6.2: 1*tchar.
[[nodiscard]] bool is_token(std::string_view text) noexcept;
/// RFC 9110 section 5.5: no CR, LF, NUL or other control but HTAB; obs-text is allowed; no leading or trailing white
/// space.
[[nodiscard]] bool is_field_value(std::string_view text) noexcept;

/// Names and values lie in one string that grows up to a cap, so a message costs two allocations and a reused list
/// none. Names are compared without case; order and repetition are kept. One thread at a time.
///
/// A view returned by any function is valid until the next call that adds, sets or clears. The arguments of add() and
/// set() may be such views of the same list. Nothing here checks syntax: the parsers do, and whoever adds configured
/// text uses is_token() and is_field_value() when the configuration is read.
class Fields {
public:
    static constexpr std::size_t default_cap_bytes = 64 * 1024;

    Fields() = default;
    explicit Fields(std::size_t cap_bytes) noexcept : cap_bytes_{cap_bytes} {}

    /// False, and nothing added, when the list would outgrow its cap.
    [[nodiscard]] bool add(std::string_view name, std::string_view value);
    /// Replaces every field of that name by one at the place of the first, or appends it. False as for add().
    [[nodiscard]] bool set(std::string_view name, std::string_view value);
    /// How many fields were removed.
    std::size_t remove(std::string_view name) noexcept;
    /// Keeps the memory for the next message.
    void clear() noexcept;

    /// The value of the first field of that name.
    [[nodiscard]] std::optional<std::string_view> find(std::string_view name) const noexcept;
    [[nodiscard]] bool contains(std::string_view name) const noexcept { return position(name, 0) != npos; }
    [[nodiscard]] std::size_t count(std::string_view name) const noexcept;
    /// Whether a member of the comma-separated lists in all fields of that name equals `member`, without case.
    [[nodiscard]] bool list_contains(std::string_view name, std::string_view member) const noexcept;

    [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }
    [[nodiscard]] bool empty() const noexcept { return entries_.empty(); }
    [[nodiscard]] Field operator[](std::size_t index) const noexcept { return view(entries_[index]); }
    /// Of names and values, removed ones included: what the cap is compared with.
    [[nodiscard]] std::size_t bytes() const noexcept { return arena_.size(); }
    /// RFC 9113 section 10.5.1: names and values plus 32 octets a field.
    [[nodiscard]] std::size_t http2_list_size() const noexcept;

    class Iterator {
    public:
        using value_type = Field;
        using difference_type = std::ptrdiff_t;
        Iterator() = default;
        Iterator(const Fields* fields, std::size_t index) noexcept : fields_{fields}, index_{index} {}
        [[nodiscard]] Field operator*() const noexcept { return (*fields_)[index_]; }
        Iterator& operator++() noexcept
        {
            ++index_;
            return *this;
        }
        Iterator operator++(int) noexcept
        {
            Iterator before = *this;
            ++index_;
            return before;
        }
        bool operator==(const Iterator&) const = default;

    private:
        const Fields* fields_ = nullptr;
        std::size_t index_ = 0;
    };
    [[nodiscard]] Iterator begin() const noexcept { return {this, 0}; }
    [[nodiscard]] Iterator end() const noexcept { return {this, entries_.size()}; }

    /// Calls `visit(value)` for each field of that name, in order.
    template <class Visit>
    void for_each(std::string_view name, Visit&& visit) const
    {
        for (std::size_t at = position(name, 0); at != npos; at = position(name, at + 1)) {
            visit(view(entries_[at]).value);
        }
    }
    /// Removes every field for which `matches(Field)` is true; how many. `matches` may look at the list, not change it.
    template <class Matches>
    std::size_t remove_if(Matches&& matches)
    {
        std::size_t kept = 0;
        const std::size_t before = entries_.size();
        for (std::size_t at = 0; at < before; ++at) {
            if (!matches(view(entries_[at]))) {
                entries_[kept++] = entries_[at];
            }
        }
        entries_.resize(kept);
        return before - kept;
    }

private:
    /// The value follows the name in the arena. `tag` mixes length, first and last letter: most mismatches end there.
    struct Entry {
        std::uint32_t offset;
        std::uint32_t value_length;
        std::uint16_t name_length;
        std::uint16_t tag;
    };
    static constexpr std::size_t npos = static_cast<std::size_t>(-1);

    [[nodiscard]] static std::uint16_t tag_of(std::string_view name) noexcept;
    [[nodiscard]] std::size_t position(std::string_view name, std::size_t from) const noexcept;
    [[nodiscard]] bool store(std::string_view name, std::string_view value, Entry& out);
    [[nodiscard]] Field view(const Entry& entry) const noexcept
    {
        return {{arena_.data() + entry.offset, entry.name_length},
                {arena_.data() + entry.offset + entry.name_length, entry.value_length}};
    }

    std::string arena_;
    std::vector<Entry> entries_;
    std::size_t cap_bytes_ = default_cap_bytes;
};

/// Calls `visit(member)` for each non-empty member of a comma-separated list (RFC 9110 section 5.6.1), white space
/// trimmed. Quoted strings are not understood: for lists of tokens.
template <class Visit>
void for_each_list_member(std::string_view list, Visit&& visit)
{
    while (!list.empty()) {
        const std::size_t comma = list.find(',');
        std::string_view member = list.substr(0, comma);
        list = comma == std::string_view::npos ? std::string_view{} : list.substr(comma + 1);
        const std::size_t first = member.find_first_not_of(" \t");
        if (first == std::string_view::npos) {
            continue;
        }
        member = member.substr(first, member.find_last_not_of(" \t") - first + 1);
        visit(member);
    }
}

} // namespace sluice::http
