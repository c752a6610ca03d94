#include "port/pcapng_file.hpp"

#include <cerrno>
#include <cstring>

namespace sluice::port {

Expected<PcapngFile, MachineError> PcapngFile::create(const std::string& path, const std::string& interface,
                                                      std::uint32_t snap)
{
    PcapngFile file{std::fopen(path.c_str(), "wbe")};
    if (file.file_) {
        append_section(file.block_);
        append_interface(file.block_, interface, snap);
    }
    if (!file.file_ || !file.put()) {
        return failure(MachineError{"cannot write the capture file " + path + ": " + std::strerror(errno), {}});
    }
    file.flush();
    return file;
}

bool PcapngFile::write(Bytes kept, std::size_t size, Duration time, Direction direction) noexcept
{
    append_packet(block_, {0, time, kept, size, direction, {}});
    return put();
}

bool PcapngFile::put() noexcept
{
    const bool written = std::fwrite(block_.data(), 1, block_.size(), file_.get()) == block_.size();
    block_.clear();
    return written;
}

void PcapngFile::flush() noexcept { std::fflush(file_.get()); }

} // namespace sluice::port
