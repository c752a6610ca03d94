// A pcapng file with one interface.
#pragma once

#include "port/pcapng_blocks.hpp"

#include <sluice/base/result.hpp>

#include <cstdio>
#include <memory>
#include <string>
#include <vector>

namespace sluice::port {

class PcapngFile {
public:
    /// Creates or empties the file and writes its header.
    [[nodiscard]] static Expected<PcapngFile, MachineError> create(const std::string& path,
                                                                   const std::string& interface, std::uint32_t snap);

    /// `kept` is the beginning of a frame of `size` bytes; `time` counts from 1970. False: the disk refuses.
    [[nodiscard]] bool write(Bytes kept, std::size_t size, Duration time, Direction direction) noexcept;
    void flush() noexcept;

private:
    struct Closer {
        void operator()(std::FILE* file) const noexcept { std::fclose(file); }
    };
    explicit PcapngFile(std::FILE* file) : file_{file} {}
    bool put() noexcept;

    std::unique_ptr<std::FILE, Closer> file_;
    std::vector<std::byte> block_; ///< Reused
};

} // namespace sluice::port
