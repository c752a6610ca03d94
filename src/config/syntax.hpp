// Explains in words why a text is not YAML, by looking at the raw lines: the scanner's own messages mislead.
#pragma once

#include <config/source.hpp>

namespace sluice::config {

struct SyntaxProblem {
    Mark mark;
    std::string message;
    std::string hint;
};

/// The cause of what the scanner met at `mark` and described as `message`.
[[nodiscard]] SyntaxProblem explain_syntax(const SourceFile& file, const Mark& mark, std::string_view message);

/// Bytes that may not be in a configuration file at all: invalid UTF-8 (RFC 3629) and control characters.
[[nodiscard]] std::optional<SyntaxProblem> find_bad_byte(const SourceFile& file, std::uint32_t file_index);

/// A tab in front of the first character of a line, outside block text.
[[nodiscard]] std::optional<SyntaxProblem> find_tab_indentation(const SourceFile& file, std::uint32_t file_index);

/// Why this is not a key: a colon or a dash without its space, or no colon at all. Nothing when it is one.
[[nodiscard]] std::optional<SyntaxProblem> explain_key(const SourceFile& file, const Mark& mark, std::string_view key);

/// An address on the line of `mark` that YAML took for a list or a map because it is not quoted.
[[nodiscard]] std::optional<SyntaxProblem> explain_unquoted_address(const SourceFile& file, const Mark& mark);

/// As message for explain_syntax: text that goes on over several lines.
inline constexpr std::string_view run_on_text = "text over several lines";

/// Whether a quoted text that opens at this place closes on its line.
[[nodiscard]] bool quote_closes(std::string_view line, std::size_t opening) noexcept;

} // namespace sluice::config
