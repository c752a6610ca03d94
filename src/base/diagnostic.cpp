#include <sluice/base/diagnostic.hpp>

#include <algorithm>

namespace sluice {

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
        // Tabs are kept so that the caret stands under its column however wide a tab is.
        for (std::size_t index = 0; index + 1 < diagnostic.where.column; ++index) {
            const bool tab = index < diagnostic.source_line.size() && diagnostic.source_line[index] == '\t';
            text += tab ? '\t' : ' ';
        }
        text += "^\n";
    }
    if (!diagnostic.hint.empty()) {
        text += "    hint: " + diagnostic.hint + '\n';
    }
    return text;
}

} // namespace sluice
