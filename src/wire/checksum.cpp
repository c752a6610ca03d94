#include <sluice/wire/checksum.hpp>

#include <array>
#include <immintrin.h>

namespace sluice::wire {
namespace {

// Sums native-order 64-bit words with end-around carry. The ones' complement sum is independent of byte order
// (RFC 1071 §2 B), so the result is folded to 16 bits and swapped once at the end.
std::uint64_t add_carry(std::uint64_t sum, std::uint64_t word) noexcept
{
    sum += word;
    return sum + (sum < word ? 1U : 0U);
}

std::uint16_t fold_native(std::uint64_t sum) noexcept
{
    sum = (sum >> 32U) + (sum & 0xffffffffU);
    sum = (sum >> 32U) + (sum & 0xffffffffU);
    sum = (sum >> 16U) + (sum & 0xffffU);
    sum = (sum >> 16U) + (sum & 0xffffU);
    return static_cast<std::uint16_t>(sum);
}

std::uint64_t tail_word(const std::byte* data, std::size_t size) noexcept
{
    std::uint64_t word = 0;
    std::memcpy(&word, data, size);
    return word;
}

std::uint64_t load_native(const std::byte* data) noexcept
{
    std::uint64_t word;
    std::memcpy(&word, data, 8);
    return word;
}

/// Below this the scalar loop is done before vectors are set up.
constexpr std::size_t worth_vectors = 192;

/// Sums (and copies) whole 64-byte pieces as 32-bit words in 64-bit lanes, which 2^32 words cannot overflow; advances
/// `data`, `to` and `left` beyond them.
template <bool Copy>
[[gnu::target("avx2")]] std::uint64_t sum_vectors(const std::byte*& data, std::byte*& to, std::size_t& left) noexcept
{
    const __m256i low_words = _mm256_set1_epi64x(0xffffffff);
    __m256i first = _mm256_setzero_si256();
    __m256i second = _mm256_setzero_si256();
    for (; left >= 64; left -= 64, data += 64) {
        const __m256i one = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(data));
        const __m256i two = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(data + 32));
        if constexpr (Copy) {
            _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), one);
            _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + 32), two);
            to += 64;
        }
        first = _mm256_add_epi64(first, _mm256_and_si256(one, low_words));
        second = _mm256_add_epi64(second, _mm256_srli_epi64(one, 32));
        first = _mm256_add_epi64(first, _mm256_and_si256(two, low_words));
        second = _mm256_add_epi64(second, _mm256_srli_epi64(two, 32));
    }
    alignas(32) std::array<std::uint64_t, 4> lanes;
    _mm256_store_si256(reinterpret_cast<__m256i*>(lanes.data()), _mm256_add_epi64(first, second));
    return lanes[0] + lanes[1] + lanes[2] + lanes[3];
}

template <bool Copy>
std::uint16_t sum_words(Bytes from, std::byte* to) noexcept
{
    static const bool has_vectors = __builtin_cpu_supports("avx2") != 0;
    const std::byte* data = from.data();
    std::size_t left = from.size();
    // Two accumulators so that the carries of one do not wait for the other's.
    std::uint64_t first = 0;
    std::uint64_t second = 0;
    if (left >= worth_vectors && has_vectors) {
        first = sum_vectors<Copy>(data, to, left);
    }
    for (; left >= 16; left -= 16, data += 16) {
        const std::uint64_t low = load_native(data);
        const std::uint64_t high = load_native(data + 8);
        first = add_carry(first, low);
        second = add_carry(second, high);
        if constexpr (Copy) {
            std::memcpy(to, &low, 8);
            std::memcpy(to + 8, &high, 8);
            to += 16;
        }
    }
    if (left >= 8) {
        const std::uint64_t word = load_native(data);
        first = add_carry(first, word);
        if constexpr (Copy) {
            std::memcpy(to, &word, 8);
            to += 8;
        }
        data += 8;
        left -= 8;
    }
    if (left > 0) {
        second = add_carry(second, tail_word(data, left));
        if constexpr (Copy) {
            std::memcpy(to, data, left);
        }
    }
    return __builtin_bswap16(fold_native(add_carry(first, second)));
}

std::uint16_t fold(std::uint64_t sum) noexcept
{
    while ((sum >> 16U) != 0) {
        sum = (sum >> 16U) + (sum & 0xffffU);
    }
    return static_cast<std::uint16_t>(sum);
}

} // namespace

void ChecksumSum::add(Bytes data) noexcept { sum_ += sum_words<false>(data, nullptr); }

void ChecksumSum::add_and_copy(Bytes from, std::byte* to) noexcept { sum_ += sum_words<true>(from, to); }

void ChecksumSum::add_pseudo_header(const IpAddress& source, const IpAddress& destination, std::uint8_t protocol,
                                    std::uint32_t length) noexcept
{
    add(source.wire());
    add(destination.wire());
    add16(protocol);
    add32(length);
}

std::uint16_t ChecksumSum::folded() const noexcept { return fold(sum_); }

std::uint16_t checksum(Bytes data) noexcept
{
    ChecksumSum sum;
    sum.add(data);
    return sum.finish();
}

std::uint16_t checksum(Bytes data, const IpAddress& source, const IpAddress& destination,
                       std::uint8_t protocol) noexcept
{
    ChecksumSum sum;
    sum.add_pseudo_header(source, destination, protocol, static_cast<std::uint32_t>(data.size()));
    sum.add(data);
    return sum.finish();
}

void ChecksumDelta::replace(const IpAddress& from, const IpAddress& to) noexcept
{
    const Bytes old_bytes = from.wire();
    const Bytes new_bytes = to.wire();
    for (std::size_t index = 0; index < old_bytes.size(); index += 2) {
        sum_ += static_cast<std::uint16_t>(~load16(old_bytes.data() + index));
    }
    for (std::size_t index = 0; index < new_bytes.size(); index += 2) {
        sum_ += load16(new_bytes.data() + index);
    }
}

std::uint16_t ChecksumDelta::apply(std::uint16_t field) const noexcept
{
    return static_cast<std::uint16_t>(~fold(sum_ + static_cast<std::uint16_t>(~field)));
}

std::uint16_t ChecksumDelta::apply_udp(std::uint16_t field) const noexcept
{
    if (field == 0) {
        return 0;
    }
    const std::uint16_t result = apply(field);
    return result == 0 ? 0xffff : result;
}

} // namespace sluice::wire
