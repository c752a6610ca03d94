#include <config/source.hpp>

#include <algorithm>
#include <tuple>

namespace sluice::config {

SourceFile::SourceFile(std::string file_name, std::string file_text)
    : name{std::move(file_name)}, text{std::move(file_text)}
{
    line_starts.push_back(0);
    for (std::size_t index = 0; index < text.size(); ++index) {
        if (text[index] == '\n' && index + 1 < text.size()) {
            line_starts.push_back(static_cast<std::uint32_t>(index + 1));
        }
    }
}

std::string_view SourceFile::line(std::uint32_t number) const noexcept
{
    if (number == 0 || number > line_count()) {
        return {};
    }
    // By the next line's start: looking for the newline would make every look at a long line cost its length.
    const std::size_t begin = line_starts[number - 1];
    std::size_t end = number < line_count() ? line_starts[number] - 1 : text.size();
    end -= number == line_count() && text.ends_with('\n') && end > begin ? 1 : 0;
    return std::string_view{text}.substr(begin, end - begin);
}

std::uint32_t Sources::add(std::string name, std::string text)
{
    const std::uint32_t index = size();
    by_name_.emplace(name, index);
    files_.emplace_back(std::move(name), std::move(text));
    return index;
}

const SourceFile* Sources::find(std::string_view name, std::uint32_t* index) const noexcept
{
    const auto found = by_name_.find(name);
    if (found == by_name_.end()) {
        return nullptr;
    }
    if (index != nullptr) {
        *index = found->second;
    }
    return &files_[found->second];
}

Diagnostic Report::describe(Severity severity, const Where& where, std::string message, std::string hint) const
{
    Diagnostic item{severity, where, std::move(message), std::move(hint), {}};
    if (const SourceFile* file = sources_.find(where.file)) {
        constexpr std::size_t longest_shown = 400; // A caret in a line of megabytes helps nobody.
        const std::string_view line = file->line(where.line);
        item.source_line = line.size() <= longest_shown ? std::string{line} : std::string{};
    }
    return item;
}

void Report::add(Severity severity, const Where& where, std::string message, std::string hint)
{
    errors_ += severity == Severity::error ? 1 : 0;
    last_suppressed_ = full();
    if (last_suppressed_) {
        ++suppressed_;
        return;
    }
    std::uint32_t file = 0;
    (void)sources_.find(where.file, &file);
    findings_.push_back({file, {describe(severity, where, std::move(message), std::move(hint))}});
}

void Report::error(const Where& where, std::string message, std::string hint)
{
    add(Severity::error, where, std::move(message), std::move(hint));
}

void Report::warning(const Where& where, std::string message, std::string hint)
{
    add(Severity::warning, where, std::move(message), std::move(hint));
}

void Report::note(const Where& where, std::string message)
{
    if (!findings_.empty() && !last_suppressed_) {
        findings_.back().lines.push_back(describe(Severity::note, where, std::move(message), {}));
    }
}

Diagnostics Report::take(bool warnings_are_errors)
{
    std::stable_sort(findings_.begin(), findings_.end(), [](const Finding& left, const Finding& right) {
        const SourceLocation& a = left.lines.front().where;
        const SourceLocation& b = right.lines.front().where;
        return std::tie(left.file, a.line, a.column) < std::tie(right.file, b.line, b.column);
    });
    Diagnostics all;
    for (Finding& finding : findings_) {
        if (warnings_are_errors && finding.lines.front().severity == Severity::warning) {
            finding.lines.front().severity = Severity::error;
        }
        std::move(finding.lines.begin(), finding.lines.end(), std::back_inserter(all));
    }
    if (suppressed_ != 0) {
        const std::string file = sources_.size() != 0 ? sources_[0].name : std::string{};
        all.push_back({errors_ != 0 ? Severity::error : Severity::warning,
                       {file, 0, 0},
                       std::to_string(suppressed_) + " further findings are not shown",
                       {},
                       {}});
    }
    findings_.clear();
    return all;
}

} // namespace sluice::config
