// The texts that were read, places in them, and the collected diagnostics.
#pragma once

#include <sluice/config/values.hpp>

#include <deque>
#include <map>
#include <string_view>
#include <vector>

namespace sluice::config {

/// A place in a text; line and column count from 1, columns in bytes. File: index in Sources.
struct Mark {
    std::uint32_t file = 0;
    std::uint32_t line = 0;
    std::uint32_t column = 0;
};

struct SourceFile {
    std::string name;
    std::string text; ///< Without byte order mark; every line ends in \n alone.
    std::vector<std::uint32_t> line_starts;

    SourceFile(std::string file_name, std::string file_text);
    [[nodiscard]] std::uint32_t line_count() const noexcept { return static_cast<std::uint32_t>(line_starts.size()); }
    /// Without the line's end; empty when there is no such line.
    [[nodiscard]] std::string_view line(std::uint32_t number) const noexcept;
};

class Sources {
public:
    std::uint32_t add(std::string name, std::string text);
    [[nodiscard]] const SourceFile& operator[](std::uint32_t index) const { return files_[index]; }
    [[nodiscard]] std::uint32_t size() const noexcept { return static_cast<std::uint32_t>(files_.size()); }
    [[nodiscard]] Where where(const Mark& mark) const { return {{files_[mark.file].name, mark.line, mark.column}}; }
    /// Null when no text of that name was read.
    [[nodiscard]] const SourceFile* find(std::string_view name, std::uint32_t* index = nullptr) const noexcept;

private:
    std::deque<SourceFile> files_;
    std::map<std::string, std::uint32_t, std::less<>> by_name_;
};

/// Collects what is wrong and hands it out in the order of the files. Bounded: a hopeless file costs no memory.
class Report {
public:
    explicit Report(const Sources& sources) : sources_{sources} {}

    void error(const Where& where, std::string message, std::string hint = {});
    void warning(const Where& where, std::string message, std::string hint = {});
    void add(Severity severity, const Where& where, std::string message, std::string hint);
    /// Belongs to the last error or warning and follows it.
    void note(const Where& where, std::string message);

    void error(const Mark& mark, std::string message, std::string hint = {})
    {
        error(sources_.where(mark), std::move(message), std::move(hint));
    }
    void note(const Mark& mark, std::string message) { note(sources_.where(mark), std::move(message)); }

    [[nodiscard]] std::size_t errors() const noexcept { return errors_; }
    /// Whether a further finding would only be counted: then a hint is not worth computing.
    [[nodiscard]] bool full() const noexcept { return findings_.size() >= limit; }
    [[nodiscard]] const Sources& sources() const noexcept { return sources_; }
    [[nodiscard]] Diagnostics take(bool warnings_are_errors);

private:
    static constexpr std::size_t limit = 200;

    struct Finding {
        std::uint32_t file;
        std::vector<Diagnostic> lines; ///< The finding, then its notes.
    };

    [[nodiscard]] Diagnostic describe(Severity severity, const Where& where, std::string message,
                                      std::string hint) const;

    const Sources& sources_;
    std::vector<Finding> findings_;
    std::size_t errors_ = 0;
    std::size_t suppressed_ = 0;
    bool last_suppressed_ = false;
};

} // namespace sluice::config
