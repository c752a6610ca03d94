#include <sluice/port/xdp_program.hpp>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fcntl.h>
#include <net/if.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>
#include <xdp/libxdp.h>

namespace sluice::port {
namespace {

std::string record_path(const std::string& directory, std::uint32_t program)
{
    return directory + "/xdp-" + std::to_string(program);
}

// The libraries would write to standard error; what matters is in our own messages.
void silence_libraries()
{
    libbpf_set_print([](libbpf_print_level, const char*, va_list) { return 0; });
    libxdp_set_print([](libxdp_print_level, const char*, va_list) { return 0; });
}

} // namespace

std::optional<XdpProgram> attached_xdp_program(const std::string& interface)
{
    silence_libraries();
    const unsigned index = ::if_nametoindex(interface.c_str());
    XdpProgram program;
    if (index == 0 || bpf_xdp_query_id(static_cast<int>(index), 0, &program.id) != 0 || program.id == 0) {
        return std::nullopt;
    }
    // Reading the name takes CAP_SYS_ADMIN; the number alone will do.
    const int descriptor = bpf_prog_get_fd_by_id(program.id);
    if (descriptor >= 0) {
        bpf_prog_info info{};
        std::uint32_t size = sizeof info;
        if (bpf_obj_get_info_by_fd(descriptor, &info, &size) == 0) {
            program.name.assign(info.name, ::strnlen(info.name, sizeof info.name));
        }
        ::close(descriptor);
    }
    return program;
}

XdpRecordFacts inspect_xdp_record(const std::string& runtime_directory, std::uint32_t program)
{
    XdpRecordFacts facts;
    const int descriptor = ::open(record_path(runtime_directory, program).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (descriptor < 0) {
        return facts;
    }
    char text[32] = {};
    const ssize_t size = ::read(descriptor, text, sizeof text - 1);
    if (size > 0) {
        std::from_chars(text, text + size, facts.holder);
    }
    facts.state = ::flock(descriptor, LOCK_SH | LOCK_NB) == 0 ? XdpRecordState::left_behind : XdpRecordState::held;
    ::close(descriptor);
    return facts;
}

bool detach_xdp_program(const std::string& interface)
{
    silence_libraries();
    const auto index = static_cast<int>(::if_nametoindex(interface.c_str()));
    // libxdp first: where it runs programs behind a dispatcher, it also removes what it pinned.
    xdp_multiprog* const programs = xdp_multiprog__get_from_ifindex(index);
    if (libxdp_get_error(programs) == 0) {
        const int result = xdp_multiprog__detach(programs);
        xdp_multiprog__close(programs);
        if (result == 0) {
            return true;
        }
    }
    const int result = bpf_xdp_detach(index, 0, nullptr);
    errno = result < 0 ? -result : errno;
    return result == 0;
}

Expected<XdpRecord, MachineError> XdpRecord::hold(const std::string& runtime_directory, std::uint32_t program)
{
    constexpr mode_t directory_mode = 0755;
    constexpr mode_t file_mode = 0644;
    ::mkdir(runtime_directory.c_str(), directory_mode);
    const std::string path = record_path(runtime_directory, program);
    const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, file_mode);
    const std::string holder = std::to_string(::getpid()) + "\n";
    if (descriptor < 0 || ::flock(descriptor, LOCK_EX | LOCK_NB) != 0 ||
        ::write(descriptor, holder.data(), holder.size()) != static_cast<ssize_t>(holder.size())) {
        const int error = errno;
        if (descriptor >= 0) {
            ::close(descriptor);
        }
        return failure(MachineError{"cannot write " + path + ": " + std::strerror(error),
                                    "install -d -o $(id -un) " + runtime_directory});
    }
    return XdpRecord{path, descriptor};
}

XdpRecord::XdpRecord(XdpRecord&& other) noexcept
    : path_{std::move(other.path_)}, descriptor_{std::exchange(other.descriptor_, -1)}
{
}

XdpRecord& XdpRecord::operator=(XdpRecord&& other) noexcept
{
    if (this != &other) {
        drop();
        path_ = std::move(other.path_);
        descriptor_ = std::exchange(other.descriptor_, -1);
    }
    return *this;
}

XdpRecord::~XdpRecord() { drop(); }

void XdpRecord::drop() noexcept
{
    if (descriptor_ >= 0) {
        ::unlink(path_.c_str());
        ::close(std::exchange(descriptor_, -1));
    }
}

void forget_xdp_record(const std::string& runtime_directory, std::uint32_t program)
{
    ::unlink(record_path(runtime_directory, program).c_str());
}

} // namespace sluice::port
