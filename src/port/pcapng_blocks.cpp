#include "port/pcapng_blocks.hpp"

#include <cstring>

namespace sluice::port {
namespace {

constexpr std::uint32_t section_header = 0x0a0d0d0a;
constexpr std::uint32_t interface_description = 1;
constexpr std::uint32_t enhanced_packet = 6;
constexpr std::uint32_t byte_order_magic = 0x1a2b3c4d;
constexpr std::uint16_t link_type_ethernet = 1;
constexpr std::uint16_t option_end = 0;
constexpr std::uint16_t option_comment = 1;              ///< opt_comment
constexpr std::uint16_t option_interface_name = 2;       ///< if_name
constexpr std::uint16_t option_timestamp_resolution = 9; ///< if_tsresol
constexpr std::uint16_t option_packet_flags = 2;         ///< epb_flags
constexpr std::uint8_t nanoseconds = 9;                  ///< if_tsresol: ten to the power of minus nine

Bytes bytes_of(std::string_view text) noexcept
{
    return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

/// A block under construction at the end of `bytes`, in the byte order of this machine; the section header says which
/// that is.
class Block {
public:
    Block(std::vector<std::byte>& bytes, std::uint32_t type) : bytes_{bytes}, begin_{bytes.size()}
    {
        put(type);
        put(std::uint32_t{0});
    }

    template <class Number>
    void put(Number number)
    {
        put_bytes({reinterpret_cast<const std::byte*>(&number), sizeof number});
    }
    void put_bytes(Bytes bytes) { bytes_.insert(bytes_.end(), bytes.begin(), bytes.end()); }
    void pad() { bytes_.resize(begin_ + (bytes_.size() - begin_ + 3) / 4 * 4); }
    void option(std::uint16_t code, Bytes value)
    {
        put(code);
        put(static_cast<std::uint16_t>(value.size()));
        put_bytes(value);
        pad();
    }
    void end_options()
    {
        put(option_end);
        put(std::uint16_t{0});
    }
    void finish()
    {
        const auto length = static_cast<std::uint32_t>(bytes_.size() - begin_ + sizeof(std::uint32_t));
        put(length);
        std::memcpy(bytes_.data() + begin_ + sizeof(std::uint32_t), &length, sizeof length);
    }

private:
    std::vector<std::byte>& bytes_;
    std::size_t begin_;
};

} // namespace

void append_section(std::vector<std::byte>& out)
{
    Block section{out, section_header};
    section.put(byte_order_magic);
    section.put(std::uint16_t{1}); // Version 1.0
    section.put(std::uint16_t{0});
    section.put(~std::uint64_t{0}); // Length of the section: unknown
    section.end_options();
    section.finish();
}

void append_interface(std::vector<std::byte>& out, std::string_view name, std::uint32_t snap)
{
    Block description{out, interface_description};
    description.put(link_type_ethernet);
    description.put(std::uint16_t{0});
    description.put(snap);
    description.option(option_interface_name, bytes_of(name));
    const auto resolution = std::byte{nanoseconds};
    description.option(option_timestamp_resolution, {&resolution, 1});
    description.end_options();
    description.finish();
}

void append_packet(std::vector<std::byte>& out, const PacketBlock& packet)
{
    const auto count = static_cast<std::uint64_t>(packet.time.count());
    Block block{out, enhanced_packet};
    block.put(packet.interface);
    block.put(static_cast<std::uint32_t>(count >> 32U));
    block.put(static_cast<std::uint32_t>(count));
    block.put(static_cast<std::uint32_t>(packet.kept.size()));
    block.put(static_cast<std::uint32_t>(packet.size));
    block.put_bytes(packet.kept);
    block.pad();
    const auto flags = static_cast<std::uint32_t>(packet.direction);
    block.option(option_packet_flags, {reinterpret_cast<const std::byte*>(&flags), sizeof flags});
    if (!packet.comment.empty()) {
        block.option(option_comment, bytes_of(packet.comment));
    }
    block.end_options();
    block.finish();
}

} // namespace sluice::port
