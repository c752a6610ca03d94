// A YAML document as our own small tree: every key and value with its mark.
#pragma once

#include <config/source.hpp>

namespace sluice::config {

struct Entry;

struct Node {
    enum class Kind : std::uint8_t {
        null,   ///< A key without a value.
        scalar, ///< `text`.
        list,   ///< `items`.
        map,    ///< `entries`, keys unique, in the order of the file.
        broken, ///< Already reported; says nothing.
    };

    Kind kind = Kind::null;
    bool quoted = false; ///< A scalar in quotes (or a block scalar) is text, whatever it looks like.
    Mark mark;
    std::string text;
    std::vector<Node> items;
    std::vector<Entry> entries;

    [[nodiscard]] const Entry* find(std::string_view key) const noexcept;
};

struct Entry {
    std::string key;
    Mark mark;
    Node value;
};

inline const Entry* Node::find(std::string_view key) const noexcept
{
    for (const Entry& entry : entries) {
        if (entry.key == key) {
            return &entry;
        }
    }
    return nullptr;
}

} // namespace sluice::config
