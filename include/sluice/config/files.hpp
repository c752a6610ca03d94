// Where configuration texts, certificates and keys come from. Injected, so that tests and the fuzzer touch no disk.
#pragma once

#include <sluice/base/result.hpp>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace sluice::config {

struct FileText {
    std::string text;
    std::uint32_t mode = 0; ///< Permission bits of stat(2).
};

struct FileError {
    std::string message; ///< "No such file or directory"
    bool missing = false;
};

class Files {
public:
    virtual ~Files() = default;
    /// The whole of a regular file of at most `limit` bytes.
    [[nodiscard]] virtual Expected<FileText, FileError> read(const std::string& path, std::size_t limit) const = 0;
    /// Names that match a glob(7) pattern, sorted; without wildcards the name itself if it exists.
    [[nodiscard]] virtual std::vector<std::string> glob(const std::string& pattern) const = 0;
    /// The same text for every name of one file, so that a cycle of includes is seen through links.
    [[nodiscard]] virtual std::string canonical(const std::string& path) const = 0;
};

/// The disk.
class DiskFiles final : public Files {
public:
    [[nodiscard]] Expected<FileText, FileError> read(const std::string& path, std::size_t limit) const override;
    [[nodiscard]] std::vector<std::string> glob(const std::string& pattern) const override;
    [[nodiscard]] std::string canonical(const std::string& path) const override;
};

/// Texts in memory.
class MemoryFiles final : public Files {
public:
    void add(std::string path, std::string text, std::uint32_t mode = 0640);
    [[nodiscard]] Expected<FileText, FileError> read(const std::string& path, std::size_t limit) const override;
    [[nodiscard]] std::vector<std::string> glob(const std::string& pattern) const override;
    [[nodiscard]] std::string canonical(const std::string& path) const override { return path; }

private:
    std::map<std::string, FileText> files_;
};

} // namespace sluice::config
