// The one field table: every map of the configuration file, its keys, their ranges and what they mean.
//
// A Schema<T> describes the struct T of the model. The reader (codec.hpp), --print, the defaults (the initialisers of
// the struct), the allowed names in diagnostics and docs/configuration.md are all made from it, so a key is added by
// adding a member to the model and a line here.
#pragma once

#include <config/scalars.hpp>
#include <sluice/config/model.hpp>

#include <limits>
#include <tuple>

namespace sluice::config {

struct Rules {
    bool required = false;    ///< The key must be there; of a list: with at least one item.
    bool one_or_list = false; ///< A list of one may be written without brackets.
    std::int64_t least = 0;   ///< Of numbers; of durations in nanoseconds, of sizes in bytes.
    std::int64_t most = std::numeric_limits<std::int64_t>::max();
    Text text = Text::any;
    std::string_view unset; ///< What leaving it out means, where no value can say it.
};

template <class Owner, class Member>
struct Field {
    std::string_view name;
    Member Owner::*member;
    std::string_view text;
    Rules rules;

    [[nodiscard]] constexpr Field required() const
    {
        Field copy = *this;
        copy.rules.required = true;
        return copy;
    }
    [[nodiscard]] constexpr Field one_or_list() const
    {
        Field copy = *this;
        copy.rules.one_or_list = true;
        return copy;
    }
    [[nodiscard]] constexpr Field between(std::int64_t least, std::int64_t most) const
    {
        Field copy = *this;
        copy.rules.least = least;
        copy.rules.most = most;
        return copy;
    }
    [[nodiscard]] constexpr Field between(Duration least, Duration most) const
    {
        return between(least.count(), most.count());
    }
    [[nodiscard]] constexpr Field is(Text kind) const
    {
        Field copy = *this;
        copy.rules.text = kind;
        return copy;
    }
    [[nodiscard]] constexpr Field unset(std::string_view meaning) const
    {
        Field copy = *this;
        copy.rules.unset = meaning;
        return copy;
    }
};

template <class Owner, class Member>
[[nodiscard]] constexpr Field<Owner, Member> field(std::string_view name, Member Owner::*member, std::string_view text)
{
    return {name, member, text, {}};
}

template <class T>
struct Schema;

template <class T>
concept Described = requires
{
    Schema<T>::fields;
};

/// Of a map where exactly one of some keys must stand: `one_of` lists them.
template <class T>
concept Alternative = Described<T> && requires
{
    Schema<T>::one_of;
};

inline constexpr std::int64_t kibibyte = 1LL << 10U;
inline constexpr std::int64_t mebibyte = 1LL << 20U;
inline constexpr std::int64_t gibibyte = 1LL << 30U;
inline constexpr Duration shortest = std::chrono::milliseconds{1};
inline constexpr Duration longest = std::chrono::hours{24 * 365};

} // namespace sluice::config
