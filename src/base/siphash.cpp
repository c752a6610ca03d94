#include <sluice/base/siphash.hpp>

namespace sluice {

std::uint64_t siphash13(const HashKey& key, Bytes data) noexcept
{
    std::uint64_t v0 = key.first ^ 0x736f6d6570736575ULL;
    std::uint64_t v1 = key.second ^ 0x646f72616e646f6dULL;
    std::uint64_t v2 = key.first ^ 0x6c7967656e657261ULL;
    std::uint64_t v3 = key.second ^ 0x7465646279746573ULL;
    const auto absorb = [&](std::uint64_t word) {
        v3 ^= word;
        detail::sip_round(v0, v1, v2, v3);
        v0 ^= word;
    };
    std::size_t offset = 0;
    for (; offset + 8 <= data.size(); offset += 8) {
        std::uint64_t word;
        std::memcpy(&word, data.data() + offset, 8);
        absorb(word);
    }
    std::uint64_t last = static_cast<std::uint64_t>(data.size()) << 56U;
    for (std::size_t index = 0; offset + index < data.size(); ++index) {
        last |= static_cast<std::uint64_t>(data[offset + index]) << (8 * index);
    }
    absorb(last);
    v2 ^= 0xff;
    detail::sip_round(v0, v1, v2, v3);
    detail::sip_round(v0, v1, v2, v3);
    detail::sip_round(v0, v1, v2, v3);
    return v0 ^ v1 ^ v2 ^ v3;
}

} // namespace sluice
