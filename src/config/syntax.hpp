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

/// Whether a quoted text that opens at this place closes on its line.
[[nodiscard]] bool quote_closes(std::string_view line, std::size_t opening) noexcept;

} // namespace sluice::config
