// Frames of the port tests: they carry a number, and nothing else of interest.
#pragma once

#include <sluice/packet/packet.hpp>

#include <cstring>
#include <filesystem>
#include <string>
#include <unistd.h>

namespace sluice::port {

inline packet::Packet numbered(packet::Pool& pool, std::uint32_t number, std::size_t size = 64)
{
    packet::Packet frame = pool.allocate();
    if (frame) {
        std::byte* const bytes = frame.append(size);
        std::memset(bytes, 0, size);
        store16(bytes + 12, 0x88b5);
        store32(bytes + 14, number);
    }
    return frame;
}

inline std::uint32_t number_of(const packet::Packet& frame) { return load32(frame.data() + 14); }

/// A file name that is unique and removed in the end.
class TemporaryFile {
public:
    explicit TemporaryFile(const std::string& name)
        : path_{std::filesystem::temp_directory_path() / ("sluice-" + std::to_string(::getpid()) + "-" + name)}
    {
    }
    ~TemporaryFile()
    {
        std::error_code ignored;
        std::filesystem::remove(path_, ignored);
    }
    TemporaryFile(const TemporaryFile&) = delete;
    TemporaryFile& operator=(const TemporaryFile&) = delete;
    [[nodiscard]] std::string path() const { return path_.string(); }

private:
    std::filesystem::path path_;
};

} // namespace sluice::port
