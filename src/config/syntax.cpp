#include <config/syntax.hpp>

#include <algorithm>
#include <cstdio>
#include <functional>

namespace sluice::config {

namespace {

constexpr std::string_view blanks = " \t";

bool is_blank_or_comment(std::string_view line)
{
    const std::size_t first = line.find_first_not_of(blanks);
    return first == std::string_view::npos || line[first] == '#';
}

std::size_t indentation(std::string_view line)
{
    const std::size_t first = line.find_first_not_of(' ');
    return first == std::string_view::npos ? line.size() : first;
}

/// The length of a quoted text that opens at `opening`, both quotes included; npos when it does not close here.
std::size_t quoted_length(std::string_view line, std::size_t opening)
{
    const char quote = line[opening];
    for (std::size_t index = opening + 1; index < line.size(); ++index) {
        if (quote == '"' && line[index] == '\\') {
            ++index;
        } else if (line[index] == quote) {
            if (quote == '\'' && index + 1 < line.size() && line[index + 1] == '\'') {
                ++index;
                continue;
            }
            return index - opening + 1;
        }
    }
    return std::string_view::npos;
}

struct Token {
    std::size_t begin;
    std::size_t size;
    bool quoted;
    bool closed; ///< Of a quoted one.
};

/// Calls `visit` for every text of a line: keys, values, list items; brackets and commas only end them.
void for_each_token(std::string_view line, const std::function<bool(const Token&)>& visit)
{
    std::size_t index = 0;
    while (index < line.size()) {
        const char character = line[index];
        if (character == '#' && (index == 0 || blanks.find(line[index - 1]) != std::string_view::npos)) {
            return;
        }
        if (std::string_view{" \t,{}[]:"}.find(character) != std::string_view::npos ||
            (character == '-' && (index + 1 == line.size() || line[index + 1] == ' '))) {
            ++index;
            continue;
        }
        Token token{index, 0, character == '"' || character == '\'', true};
        if (token.quoted) {
            const std::size_t length = quoted_length(line, index);
            token.closed = length != std::string_view::npos;
            token.size = token.closed ? length : line.size() - index;
        } else {
            token.size = std::min(line.find_first_of(" \t,{}[]", index), line.size()) - index;
        }
        if (!visit(token)) {
            return;
        }
        index += token.size;
    }
}

/// Lines that belong to block text (`key: |`) are nobody's syntax.
class BlockText {
public:
    /// Whether this line, the next of the file, is inside block text.
    bool contains(std::string_view line)
    {
        if (active_) {
            if (line.find_first_not_of(blanks) == std::string_view::npos || indentation(line) > indent_) {
                return true;
            }
            active_ = false;
        }
        std::string_view trimmed = line.substr(0, line.find(" #"));
        while (!trimmed.empty() && blanks.find(trimmed.back()) != std::string_view::npos) {
            trimmed.remove_suffix(1);
        }
        while (!trimmed.empty() && std::string_view{"+-123456789"}.find(trimmed.back()) != std::string_view::npos) {
            trimmed.remove_suffix(1);
        }
        if (trimmed.ends_with(": |") || trimmed.ends_with(": >") || trimmed.ends_with("- |") ||
            trimmed.ends_with("- >")) {
            active_ = true;
            indent_ = indentation(line);
        }
        return false;
    }

private:
    bool active_ = false;
    std::size_t indent_ = 0;
};

Mark at(const Mark& base, std::uint32_t line, std::size_t index)
{
    return {base.file, line, static_cast<std::uint32_t>(index + 1)};
}

std::optional<SyntaxProblem> find_open_quote(const SourceFile& file, const Mark& mark)
{
    std::optional<SyntaxProblem> problem;
    BlockText block;
    for (std::uint32_t number = 1; number <= mark.line && !problem; ++number) {
        const std::string_view line = file.line(number);
        if (block.contains(line)) {
            continue;
        }
        for_each_token(line, [&](const Token& token) {
            if (token.quoted && !token.closed) {
                problem =
                    SyntaxProblem{at(mark, number, token.begin), "the quote that opens here does not close on its line",
                                  "close it; text of several lines is written after `|`"};
            }
            return !problem;
        });
    }
    return problem;
}

bool has_address_characters(std::string_view text)
{
    return !text.empty() && text.find_first_not_of("0123456789abcdefABCDEF:.%") == std::string_view::npos;
}

/// `[::]:443`, `fe80::`, `*:80`: an address that YAML takes for a list, a key or an alias.
std::optional<std::size_t> find_unquoted_address(std::string_view line)
{
    for (std::size_t open = line.find('['); open != std::string_view::npos; open = line.find('[', open + 1)) {
        const std::size_t close = line.find(']', open);
        if (close == std::string_view::npos) {
            break;
        }
        const std::string_view inside = line.substr(open + 1, close - open - 1);
        const char next = close + 1 < line.size() ? line[close + 1] : ' ';
        const bool in_quotes = open > 0 && (line[open - 1] == '"' || line[open - 1] == '\'');
        if (!in_quotes && has_address_characters(inside) && inside.find(':') != std::string_view::npos &&
            (next == ':' || next == '/')) {
            return open;
        }
    }
    std::optional<std::size_t> found;
    for_each_token(line, [&](const Token& token) {
        const std::string_view text = line.substr(token.begin, token.size);
        const bool colons_at_end = has_address_characters(text) && text.ends_with("::");
        if (!token.quoted && (colons_at_end || text.starts_with("*:"))) {
            found = token.begin;
        }
        return !found;
    });
    return found;
}

std::optional<SyntaxProblem> judge_line(const SourceFile& file, const Mark& mark, std::uint32_t number)
{
    const std::string_view line = file.line(number);
    if (is_blank_or_comment(line)) {
        return std::nullopt;
    }
    const std::size_t first = line.find_first_not_of(blanks);
    if (line.find('\t') < first) {
        return SyntaxProblem{at(mark, number, line.find('\t')), "a tab cannot indent", "use spaces"};
    }
    if (auto problem = explain_unquoted_address(file, {mark.file, number, 1})) {
        return problem;
    }
    if (line[first] == '-' && first + 1 < line.size() && line[first + 1] != ' ' && line.substr(first, 3) != "---") {
        return SyntaxProblem{at(mark, number, first), "a list item needs a space after its dash",
                             "- " + std::string{line.substr(first + 1)}};
    }
    const std::size_t content =
        line[first] == '-' ? std::min(line.find_first_not_of("- ", first), line.size() - 1) : first;
    const std::string_view text = line.substr(content);
    const std::size_t colon = text.find(':');
    const bool plain = std::string_view{"\"'[]{}|>#-"}.find(text.front()) == std::string_view::npos;
    if (plain && line[first] != '-' && text.find(": ") == std::string_view::npos && !text.ends_with(':')) {
        if (colon != std::string_view::npos) {
            return SyntaxProblem{at(mark, number, content + colon), "a key's colon needs a space after it",
                                 std::string{text.substr(0, colon)} + ": " + std::string{text.substr(colon + 1)}};
        }
        return SyntaxProblem{at(mark, number, content), "this is neither `key: value` nor a list item",
                             "put `:` after the key; text of several lines is written after `|`"};
    }
    return std::nullopt;
}

std::optional<SyntaxProblem> find_open_bracket(const SourceFile& file, const Mark& mark)
{
    std::vector<std::pair<char, Mark>> open;
    BlockText block;
    for (std::uint32_t number = 1; number <= mark.line; ++number) {
        const std::string_view line = file.line(number);
        if (block.contains(line)) {
            continue;
        }
        char before = ' ';
        for (std::size_t index = 0; index < line.size(); ++index) {
            const char character = line[index];
            const bool starts = std::string_view{" ,[{:"}.find(before) != std::string_view::npos;
            if (character == '#' && before == ' ') {
                break;
            }
            if ((character == '"' || character == '\'') && starts && quote_closes(line, index)) {
                index += quoted_length(line, index) - 1;
            } else if (character == '[' || character == '{') {
                open.emplace_back(character, at(mark, number, index));
            } else if ((character == ']' || character == '}') && !open.empty()) {
                open.pop_back();
            }
            before = line[index];
        }
    }
    if (open.empty()) {
        return std::nullopt;
    }
    return SyntaxProblem{open.back().second,
                         std::string{"the `"} + open.back().first + "` that opens here is not closed",
                         open.back().first == '[' ? "close it with `]`" : "close it with `}`"};
}

std::optional<SyntaxProblem> judge_neighbourhood(const SourceFile& file, const Mark& mark)
{
    std::uint32_t number = mark.line;
    for (int seen = 0; number > 0 && seen < 2; --number) {
        if (is_blank_or_comment(file.line(number))) {
            continue;
        }
        ++seen;
        if (auto problem = judge_line(file, mark, number)) {
            return problem;
        }
    }
    return std::nullopt;
}

SyntaxProblem judge_message(const SourceFile& file, const Mark& mark, std::string_view message)
{
    const std::string_view line = file.line(mark.line);
    if (message == run_on_text) {
        return {{mark.file, mark.line, static_cast<std::uint32_t>(indentation(line) + 1)},
                "this goes on with the text of the line above",
                "write the text on one line, or below `|`"};
    }
    if (line.find("<<:") != std::string_view::npos) {
        return {mark, "merge keys (`<<`) are not used here",
                "write the keys themselves; what repeats belongs into `defaults`"};
    }
    if (message.find("anchor") != std::string_view::npos || message.find("alias") != std::string_view::npos) {
        return {mark, "aliases and anchors (`*name`, `&name`) are not used here",
                "write the value itself, in quotes if it starts with `*`"};
    }
    if (message.find("flow end") != std::string_view::npos) {
        return {mark, "this bracket closes nothing", "remove it, or open it"};
    }
    if (message.find("escape") != std::string_view::npos) {
        return {mark, "unknown escape in quoted text", "write a backslash as `\\\\`, or use single quotes"};
    }
    if (message.find("unknown token") != std::string_view::npos) {
        return {mark, "text cannot start with this character", "put the text into quotes"};
    }
    const std::size_t first_colon = line.find(": ");
    if (message == "illegal map value" && first_colon != std::string_view::npos &&
        line.find(": ", first_colon + 2) != std::string_view::npos) {
        return {mark, "a second `: ` in one line", "put text that contains `: ` into quotes"};
    }
    if (message == "illegal map value" || message == "end of map not found" || message == "end of sequence not found") {
        if (line.find_last_of("\"'", mark.column - 1) != std::string_view::npos &&
            mark.column > indentation(line) + 1) {
            return {mark, "something follows the closing quote", "quote the whole text, or remove the rest"};
        }
        return {mark, "this line does not fit what stands above it",
                "keys of one map start in the same column, and a key with a value on its line takes no lines below"};
    }
    return {mark, "this is not YAML: " + std::string{message}, {}};
}

/// The length of the well-formed UTF-8 sequence at `text` (RFC 3629 §4); 0 when there is none.
std::size_t utf8_length(std::string_view text)
{
    const auto byte = [&](std::size_t index) { return static_cast<unsigned char>(text[index]); };
    const unsigned char lead = byte(0);
    const std::size_t length = lead < 0x80   ? 1
                               : lead < 0xc2 ? 0
                               : lead < 0xe0 ? 2
                               : lead < 0xf0 ? 3
                               : lead < 0xf5 ? 4
                                             : 0;
    if (length == 0 || text.size() < length) {
        return 0;
    }
    for (std::size_t index = 1; index < length; ++index) {
        if ((byte(index) & 0xc0U) != 0x80U) {
            return 0;
        }
    }
    if (length < 3) {
        return length;
    }
    const bool overlong = (lead == 0xe0 && byte(1) < 0xa0) || (lead == 0xf0 && byte(1) < 0x90);
    const bool surrogate = lead == 0xed && byte(1) > 0x9f;
    const bool too_large = lead == 0xf4 && byte(1) > 0x8f;
    return overlong || surrogate || too_large ? 0 : length;
}

} // namespace

bool quote_closes(std::string_view line, std::size_t opening) noexcept
{
    return quoted_length(line, opening) != std::string_view::npos;
}

SyntaxProblem explain_syntax(const SourceFile& file, const Mark& mark, std::string_view message)
{
    if (auto problem = find_open_quote(file, mark)) {
        return *problem;
    }
    if (message.find("flow not found") != std::string_view::npos) {
        if (auto problem = find_open_bracket(file, mark)) {
            return *problem;
        }
    }
    if (auto problem = judge_neighbourhood(file, mark)) {
        return *problem;
    }
    return judge_message(file, mark, message);
}

std::optional<SyntaxProblem> explain_key(const SourceFile& file, const Mark& mark, std::string_view key)
{
    if (key.size() > 1 && key.front() == '-' && key[1] != '-') {
        return SyntaxProblem{mark, "a list item needs a space after its dash",
                             "- " + std::string{file.line(mark.line).substr(mark.column)}};
    }
    const std::string_view line = file.line(mark.line);
    std::string_view rest = line.substr(std::min<std::size_t>(mark.column - 1 + key.size(), line.size()));
    rest.remove_prefix(std::min(rest.find_first_not_of(blanks), rest.size()));
    if (rest.starts_with(':')) {
        return std::nullopt;
    }
    if (const std::size_t colon = key.find(':'); colon != std::string_view::npos) {
        return SyntaxProblem{mark, "a key's colon needs a space after it",
                             std::string{key.substr(0, colon)} + ": " + std::string{key.substr(colon + 1)}};
    }
    return SyntaxProblem{mark, "this is neither `key: value` nor a list item", "put `:` after the key"};
}

std::optional<SyntaxProblem> explain_unquoted_address(const SourceFile& file, const Mark& mark)
{
    const auto found = find_unquoted_address(file.line(mark.line));
    if (!found) {
        return std::nullopt;
    }
    return SyntaxProblem{at(mark, mark.line, *found), "YAML reads this address as something else",
                         "put it into quotes: \"[2001:db8::1]:443/tcp\""};
}

std::optional<SyntaxProblem> find_bad_byte(const SourceFile& file, std::uint32_t file_index)
{
    for (std::uint32_t number = 1; number <= file.line_count(); ++number) {
        const std::string_view line = file.line(number);
        for (std::size_t index = 0; index < line.size();) {
            const std::size_t length = utf8_length(line.substr(index));
            const auto value = static_cast<unsigned char>(line[index]);
            const bool control = (value < 0x20 && value != '\t') || value == 0x7f;
            if (length == 0 || control) {
                char name[8];
                std::snprintf(name, sizeof name, "0x%02x", value);
                const Mark mark{file_index, number, static_cast<std::uint32_t>(index + 1)};
                return length == 0
                           ? SyntaxProblem{mark, std::string{"the byte "} + name + " is not UTF-8",
                                           "save the file as UTF-8"}
                           : SyntaxProblem{mark, std::string{"the control character "} + name + " has no place here",
                                           "remove it"};
            }
            index += length;
        }
    }
    return std::nullopt;
}

std::optional<SyntaxProblem> find_tab_indentation(const SourceFile& file, std::uint32_t file_index)
{
    BlockText block;
    for (std::uint32_t number = 1; number <= file.line_count(); ++number) {
        const std::string_view line = file.line(number);
        if (block.contains(line) || is_blank_or_comment(line)) {
            continue;
        }
        const std::size_t tab = line.find('\t');
        if (tab < line.find_first_not_of(blanks)) {
            return SyntaxProblem{
                {file_index, number, static_cast<std::uint32_t>(tab + 1)}, "a tab cannot indent", "use spaces"};
        }
    }
    return std::nullopt;
}

} // namespace sluice::config
