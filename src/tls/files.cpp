#include "files.hpp"

#include <sys/stat.h>

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace sluice::tls {
namespace {

constexpr off_t size_limit = 1024 * 1024;

/// Closes a file descriptor at the end of its scope.
class Descriptor {
public:
    explicit Descriptor(int value) noexcept : value_{value} {}
    ~Descriptor()
    {
        if (value_ >= 0) {
            ::close(value_);
        }
    }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    [[nodiscard]] int get() const noexcept { return value_; }

private:
    int value_;
};

LoadError unreadable(const std::string& path, int cause)
{
    LoadError error{.kind = LoadError::Kind::unreadable,
                    .file = path,
                    .message = path + ": " + std::generic_category().message(cause),
                    .remedy = {}};
    if (cause == EACCES) {
        error.remedy = "let the user that runs sluice read it: chgrp GROUP " + path + " && chmod 640 " + path;
    } else if (cause == ENOENT) {
        error.remedy = "create the file or correct its path";
    }
    return error;
}

} // namespace

Expected<std::string, LoadError> read_file(const std::string& path, Secrecy secrecy)
{
    // O_NONBLOCK: a FIFO must not stop a reload.
    const Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
    struct stat status {};
    if (file.get() < 0 || ::fstat(file.get(), &status) != 0) {
        return failure(unreadable(path, errno));
    }
    if (!S_ISREG(status.st_mode) || status.st_size > size_limit) {
        return failure(LoadError{
            .kind = LoadError::Kind::malformed,
            .file = path,
            .message = path + ": not a regular file of at most 1 MiB",
        });
    }
    if (secrecy == Secrecy::secret && (status.st_mode & (S_IROTH | S_IWOTH)) != 0) {
        return failure(LoadError{.kind = LoadError::Kind::exposed,
                                 .file = path,
                                 .message = path + ": every user of this machine may read this secret",
                                 .remedy = "chmod o= " + path});
    }
    std::string content(static_cast<std::size_t>(status.st_size), '\0');
    std::size_t filled = 0;
    while (filled < content.size()) {
        const ssize_t count = ::read(file.get(), content.data() + filled, content.size() - filled);
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count < 0) {
            return failure(unreadable(path, errno));
        }
        if (count == 0) {
            break;
        }
        filled += static_cast<std::size_t>(count);
    }
    content.resize(filled);
    return content;
}

} // namespace sluice::tls
