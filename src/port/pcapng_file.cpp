#include "port/pcapng_file.hpp"

#include <cerrno>
#include <cstring>

namespace sluice::port {
namespace {

constexpr std::uint32_t section_header = 0x0a0d0d0a;
constexpr std::uint32_t interface_description = 1;
constexpr std::uint32_t enhanced_packet = 6;
constexpr std::uint32_t byte_order_magic = 0x1a2b3c4d;
constexpr std::uint16_t link_type_ethernet = 1;
constexpr std::uint16_t option_end = 0;
constexpr std::uint16_t option_interface_name = 2;       ///< if_name
constexpr std::uint16_t option_timestamp_resolution = 9; ///< if_tsresol
constexpr std::uint16_t option_packet_flags = 2;         ///< epb_flags
constexpr std::uint8_t nanoseconds = 9;                  ///< if_tsresol: ten to the power of minus nine

/// A block under construction, in the byte order of this machine; the section header says which that is.
class Block {
public:
    Block(std::vector<std::byte>& bytes, std::uint32_t type) : bytes_{bytes}
    {
        bytes_.clear();
        put(type);
        put(std::uint32_t{0});
    }

    template <class Number>
    void put(Number number)
    {
        put_bytes({reinterpret_cast<const std::byte*>(&number), sizeof number});
    }
    void put_bytes(Bytes bytes) { bytes_.insert(bytes_.end(), bytes.begin(), bytes.end()); }
    void pad() { bytes_.resize((bytes_.size() + 3) / 4 * 4); }
    void option(std::uint16_t code, Bytes value)
    {
        put(code);
        put(static_cast<std::uint16_t>(value.size()));
        put_bytes(value);
        pad();
    }
    /// Ends the options and the block, and writes it.
    [[nodiscard]] bool finish(std::FILE* file)
    {
        put(option_end);
        put(std::uint16_t{0});
        const auto length = static_cast<std::uint32_t>(bytes_.size() + sizeof(std::uint32_t));
        put(length);
        std::memcpy(bytes_.data() + sizeof(std::uint32_t), &length, sizeof length);
        return std::fwrite(bytes_.data(), 1, bytes_.size(), file) == bytes_.size();
    }

private:
    std::vector<std::byte>& bytes_;
};

} // namespace

Expected<PcapngFile, MachineError> PcapngFile::create(const std::string& path, const std::string& interface,
                                                      std::uint32_t snap)
{
    PcapngFile file{std::fopen(path.c_str(), "wbe")};
    const auto failed = [&] {
        return failure(MachineError{"cannot write the capture file " + path + ": " + std::strerror(errno), {}});
    };
    if (!file.file_) {
        return failed();
    }
    Block section{file.block_, section_header};
    section.put(byte_order_magic);
    section.put(std::uint16_t{1}); // Version 1.0
    section.put(std::uint16_t{0});
    section.put(~std::uint64_t{0}); // Length of the section: unknown
    if (!section.finish(file.file_.get())) {
        return failed();
    }
    Block description{file.block_, interface_description};
    description.put(link_type_ethernet);
    description.put(std::uint16_t{0});
    description.put(snap);
    description.option(option_interface_name, {reinterpret_cast<const std::byte*>(interface.data()), interface.size()});
    const auto resolution = std::byte{nanoseconds};
    description.option(option_timestamp_resolution, {&resolution, 1});
    if (!description.finish(file.file_.get())) {
        return failed();
    }
    file.flush();
    return file;
}

bool PcapngFile::write(Bytes kept, std::size_t size, Duration time, Direction direction) noexcept
{
    const auto count = static_cast<std::uint64_t>(time.count());
    Block block{block_, enhanced_packet};
    block.put(std::uint32_t{0}); // The only interface
    block.put(static_cast<std::uint32_t>(count >> 32U));
    block.put(static_cast<std::uint32_t>(count));
    block.put(static_cast<std::uint32_t>(kept.size()));
    block.put(static_cast<std::uint32_t>(size));
    block.put_bytes(kept);
    block.pad();
    const auto flags = static_cast<std::uint32_t>(direction);
    block.option(option_packet_flags, {reinterpret_cast<const std::byte*>(&flags), sizeof flags});
    return block.finish(file_.get());
}

void PcapngFile::flush() noexcept { std::fflush(file_.get()); }

} // namespace sluice::port
