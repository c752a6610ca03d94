#include <sluice/base/diagnostic.hpp>

#include <algorithm>

namespace sluice {

namespace {

/// What stands below the first `bytes` bytes of the line, as wide as they are. Tabs are kept, so that it does not
/// matter how wide a tab is; of a character in UTF-8 the first byte alone has a width.
std::string indent(const std::string& line, std::size_t bytes)
{
    std::string result;
    for (std::size_t index = 0; index < bytes; ++index) {
        const char byte = index < line.size() ? line[index] : ' ';
        const bool continues = (static_cast<unsigned char>(byte) & 0xc0U) == 0x80U;
        if (!continues) {
            result += byte == '\t' ? '\t' : ' ';
        }
    }
    return result;
}

} // namespace

bool has_errors(const Diagnostics& diagnostics) noexcept
{
    return std::any_of(diagnostics.begin(), diagnostics.end(),
                       [](const Diagnostic& item) { return item.severity == Severity::error; });
}

std::string format(const Diagnostic& diagnostic)
{
    static constexpr const char* names[] = {"error", "warning", "note"};
    std::string text = diagnostic.where.file;
    if (diagnostic.where.line != 0) {
        text += ':' + std::to_string(diagnostic.where.line) + ':' + std::to_string(diagnostic.where.column);
    }
    if (!text.empty()) {
        text += ": ";
    }
    text += names[static_cast<int>(diagnostic.severity)];
    text += ": " + diagnostic.message + '\n';
    if (!diagnostic.source_line.empty() && diagnostic.where.column != 0) {
        text += "    " + diagnostic.source_line + "\n    ";
        text += indent(diagnostic.source_line, diagnostic.where.column - 1) + "^\n";
    }
    if (!diagnostic.hint.empty()) {
        text += "    hint: " + diagnostic.hint + '\n';
    }
    return text;
}

} // namespace sluice
