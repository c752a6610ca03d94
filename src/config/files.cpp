#include <sluice/config/files.hpp>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <fnmatch.h>
#include <glob.h>
#include <memory>
#include <sys/stat.h>
#include <unistd.h>

namespace sluice::config {

namespace {

class Descriptor {
public:
    explicit Descriptor(int number) noexcept : number_{number} {}
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    ~Descriptor()
    {
        if (number_ >= 0) {
            ::close(number_);
        }
    }
    [[nodiscard]] int get() const noexcept { return number_; }

private:
    int number_;
};

FileError last_error() { return {std::strerror(errno), errno == ENOENT || errno == ENOTDIR}; }

} // namespace

Expected<FileText, FileError> DiskFiles::read(const std::string& path, std::size_t limit) const
{
    // Without O_NONBLOCK a fifo under this name would stop the caller for good.
    const Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
    struct stat status {};
    if (file.get() < 0 || ::fstat(file.get(), &status) != 0) {
        return failure(last_error());
    }
    if (!S_ISREG(status.st_mode)) {
        return failure(FileError{"not a regular file", false});
    }
    FileText result{{}, static_cast<std::uint32_t>(status.st_mode & 07777U)};
    char buffer[16384];
    while (true) {
        const ssize_t count = ::read(file.get(), buffer, sizeof buffer);
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count < 0) {
            return failure(last_error());
        }
        if (count == 0) {
            return result;
        }
        result.text.append(buffer, static_cast<std::size_t>(count));
        if (result.text.size() > limit) {
            return failure(FileError{"larger than " + std::to_string(limit >> 10U) + " KiB", false});
        }
    }
}

std::vector<std::string> DiskFiles::glob(const std::string& pattern) const
{
    glob_t found{};
    std::vector<std::string> names;
    if (::glob(pattern.c_str(), 0, nullptr, &found) == 0) {
        names.assign(found.gl_pathv, found.gl_pathv + found.gl_pathc);
    }
    ::globfree(&found);
    return names;
}

std::string DiskFiles::canonical(const std::string& path) const
{
    const std::unique_ptr<char, decltype(&std::free)> real{::realpath(path.c_str(), nullptr), &std::free};
    return real ? std::string{real.get()} : path;
}

void MemoryFiles::add(std::string path, std::string text, std::uint32_t mode)
{
    files_[std::move(path)] = {std::move(text), mode};
}

Expected<FileText, FileError> MemoryFiles::read(const std::string& path, std::size_t limit) const
{
    const auto found = files_.find(path);
    if (found == files_.end()) {
        return failure(FileError{"No such file or directory", true});
    }
    if (found->second.text.size() > limit) {
        return failure(FileError{"larger than " + std::to_string(limit >> 10U) + " KiB", false});
    }
    return found->second;
}

std::vector<std::string> MemoryFiles::glob(const std::string& pattern) const
{
    std::vector<std::string> names;
    for (const auto& [name, text] : files_) {
        if (::fnmatch(pattern.c_str(), name.c_str(), FNM_PATHNAME | FNM_PERIOD) == 0) {
            names.push_back(name);
        }
    }
    return names;
}

} // namespace sluice::config
