// Diagnostics like a compiler's: the control idiom of errors (all at once, each with file, line, column and hint).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace sluice {

enum class Severity : std::uint8_t { error, warning, note };

/// Line and column count from 1, the column in bytes; 0 means "the file as a whole".
struct SourceLocation {
    std::string file;
    std::uint32_t line = 0;
    std::uint32_t column = 0;

    bool operator==(const SourceLocation&) const = default;
};

struct Diagnostic {
    Severity severity = Severity::error;
    SourceLocation where;
    std::string message;
    std::string hint;        ///< What to write instead; may be empty.
    std::string source_line; ///< The line of the file, for the caret; may be empty.
};

using Diagnostics = std::vector<Diagnostic>;

[[nodiscard]] bool has_errors(const Diagnostics& diagnostics) noexcept;

/// `FILE:LINE:COLUMN: error: message`, then the source line with a caret and the hint, each on a line of its own.
[[nodiscard]] std::string format(const Diagnostic& diagnostic);

} // namespace sluice
