#include <config/decode.hpp>
#include <config/print.hpp>
#include <sluice/config/load.hpp>

#include <algorithm>

namespace sluice::config {

namespace {

/// Whether YAML and the reader both take this text as it stands, in a list in brackets too.
bool is_plain(std::string_view text)
{
    static constexpr std::string_view reserved[] = {"~", "null", "Null", "NULL", "-", "--", "---", "..."};
    const auto safe = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               std::string_view{"._/-:"}.find(c) != std::string_view::npos;
    };
    const bool starts_well = !text.empty() && text.front() != '-' && text.front() != ':';
    const bool number =
        text.size() > 1 && text.front() == '-' && text.find_first_not_of("0123456789", 1) == std::string_view::npos;
    return (starts_well || number) && text.back() != ':' && std::all_of(text.begin(), text.end(), safe) &&
           text.find("::") == std::string_view::npos &&
           std::find(std::begin(reserved), std::end(reserved), text) == std::end(reserved);
}

std::string in_quotes(std::string_view text)
{
    static constexpr std::string_view hex = "0123456789abcdef";
    std::string out = "\"";
    for (const char c : text) {
        const auto value = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') {
            out += {'\\', c};
        } else if (c == '\n') {
            out += "\\n";
        } else if (value < 0x20 || value == 0x7f) {
            out += {'\\', 'x', hex[value >> 4U], hex[value & 15U]};
        } else {
            out += c;
        }
    }
    return out + "\"";
}

bool has_only_scalars(const Node& list)
{
    return std::all_of(list.items.begin(), list.items.end(),
                       [](const Node& item) { return item.kind == Node::Kind::scalar; });
}

void write_entries(std::string& out, const Node& map, std::size_t indent, bool first_is_placed);

/// What stands behind `key:`.
void write_value(std::string& out, const Node& node, std::size_t indent)
{
    if (node.kind == Node::Kind::map && !node.entries.empty()) {
        out += '\n';
        write_entries(out, node, indent + 2, false);
    } else if (node.kind == Node::Kind::list && !has_only_scalars(node)) {
        out += '\n';
        for (const Node& item : node.items) {
            out += std::string(indent + 2, ' ') + "- ";
            write_entries(out, item, indent + 4, true);
        }
    } else {
        out += ' ' + inline_text(node) + '\n';
    }
}

void write_entries(std::string& out, const Node& map, std::size_t indent, bool first_is_placed)
{
    for (const Entry& entry : map.entries) {
        if (!first_is_placed) {
            out += std::string(indent, ' ');
        }
        first_is_placed = false;
        out += (is_plain(entry.key) ? entry.key : in_quotes(entry.key)) + ":";
        write_value(out, entry.value, indent);
    }
}

} // namespace

std::string inline_text(const Node& node)
{
    std::string out;
    switch (node.kind) {
    case Node::Kind::scalar:
        return is_plain(node.text) ? node.text : in_quotes(node.text);
    case Node::Kind::list:
        for (const Node& item : node.items) {
            out += (out.empty() ? "" : ", ") + inline_text(item);
        }
        return "[" + out + "]";
    case Node::Kind::map:
        for (const Entry& entry : node.entries) {
            out += (out.empty() ? "" : ", ") + entry.key + ": " + inline_text(entry.value);
        }
        return "{" + out + "}";
    default:
        return out;
    }
}

std::string print(const Model& model)
{
    std::string out;
    write_entries(out, encode(model), 0, false);
    return out;
}

} // namespace sluice::config
