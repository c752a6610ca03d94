#include "transfer/content.hpp"

#include <algorithm>
#include <cstdio>
#include <cstring>

namespace sluice::transfer {
namespace {

constexpr std::uint64_t magic = 0x736c756963650001ULL;

/// A counter through an avalanche: any word can be made alone.
std::uint64_t word_at(std::uint64_t seed, std::uint64_t index) noexcept
{
    std::uint64_t word = (seed + index + 1) * 0x9e3779b97f4a7c15ULL;
    word = (word ^ (word >> 32U)) * 0xd6e8feb86659fd93ULL;
    word = (word ^ (word >> 32U)) * 0xd6e8feb86659fd93ULL;
    return word ^ (word >> 32U);
}

/// Calls `each(word, first, count)`: bytes [first, first + count) of a word, in order.
template <class Each>
void for_words(std::uint64_t seed, std::uint64_t offset, std::size_t size, Each&& each)
{
    constexpr std::size_t word_size = sizeof(std::uint64_t);
    while (size != 0) {
        const std::size_t first = offset % word_size;
        const std::size_t count = std::min(word_size - first, size);
        if (!each(word_at(seed, offset / word_size), first, count)) {
            return;
        }
        offset += count;
        size -= count;
    }
}

void put(std::byte* to, std::uint64_t value) noexcept { std::memcpy(to, &value, sizeof value); }

std::uint64_t get(const std::byte* from) noexcept
{
    std::uint64_t value = 0;
    std::memcpy(&value, from, sizeof value);
    return value;
}

} // namespace

void Content::write(std::uint64_t offset, MutableBytes to) const noexcept
{
    std::byte* at = to.data();
    for_words(seed_, offset, to.size(), [&](std::uint64_t word, std::size_t first, std::size_t count) {
        std::memcpy(at, reinterpret_cast<const std::byte*>(&word) + first, count);
        at += count;
        return true;
    });
}

std::size_t Content::matching(std::uint64_t offset, Bytes bytes) const noexcept
{
    std::size_t matched = 0;
    for_words(seed_, offset, bytes.size(), [&](std::uint64_t word, std::size_t first, std::size_t count) {
        const auto* expected = reinterpret_cast<const std::byte*>(&word) + first;
        const std::byte* found = bytes.data() + matched;
        if (std::memcmp(found, expected, count) == 0) {
            matched += count;
            return true;
        }
        matched += static_cast<std::size_t>(std::mismatch(found, found + count, expected).first - found);
        return false;
    });
    return matched;
}

std::array<std::byte, Header::size> Header::encode() const noexcept
{
    std::array<std::byte, size> bytes{};
    put(bytes.data(), magic);
    put(bytes.data() + 8, seed);
    put(bytes.data() + 16, up);
    put(bytes.data() + 24, down);
    return bytes;
}

std::optional<Header> Header::decode(Bytes bytes) noexcept
{
    if (bytes.size() != size || get(bytes.data()) != magic) {
        return std::nullopt;
    }
    return Header{get(bytes.data() + 8), get(bytes.data() + 16), get(bytes.data() + 24)};
}

std::array<std::byte, Receipt::size> Receipt::encode() const noexcept
{
    std::array<std::byte, size> bytes{};
    put(bytes.data(), received);
    put(bytes.data() + 8, wrong_at);
    return bytes;
}

Receipt Receipt::decode(Bytes bytes) noexcept { return {get(bytes.data()), get(bytes.data() + 8)}; }

void Inspector::take(Bytes bytes) noexcept
{
    if (receipt_.wrong_at == Receipt::nothing) {
        const std::size_t matched = content_.matching(receipt_.received, bytes);
        if (matched != bytes.size()) {
            receipt_.wrong_at = receipt_.received + matched;
        }
    }
    receipt_.received += bytes.size();
}

void Answer::take(Bytes bytes) noexcept
{
    const auto content = static_cast<std::size_t>(std::min<std::uint64_t>(left_, bytes.size()));
    inspector_.take(bytes.first(content));
    left_ -= content;
    const Bytes rest = bytes.subspan(content);
    const std::size_t kept = std::min(rest.size(), tail_.size() - tail_size_);
    std::copy_n(rest.begin(), kept, tail_.begin() + static_cast<std::ptrdiff_t>(tail_size_));
    tail_size_ += kept;
    excess_ = excess_ || kept != rest.size();
}

std::string Answer::fault(std::uint64_t sent) const
{
    if (inspector_.receipt().wrong_at != Receipt::nothing) {
        return "byte " + std::to_string(inspector_.receipt().wrong_at) + " of the answer is wrong";
    }
    if (left_ != 0 || tail_size_ != tail_.size()) {
        return "the answer ends after " + std::to_string(inspector_.receipt().received + tail_size_) + " bytes";
    }
    if (excess_) {
        return "the answer is longer than announced";
    }
    const Receipt receipt = Receipt::decode(tail_);
    if (receipt.wrong_at != Receipt::nothing) {
        return "the server found byte " + std::to_string(receipt.wrong_at) + " wrong";
    }
    return receipt.received == sent
               ? std::string{}
               : "the server received " + std::to_string(receipt.received) + " bytes of " + std::to_string(sent);
}

void report(const Job& done, double seconds, const std::string& fault)
{
    std::printf("{\"up\": %llu, \"down\": %llu, \"seconds\": %.6f, \"fault\": \"%s\"}\n",
                static_cast<unsigned long long>(done.up), static_cast<unsigned long long>(done.down), seconds,
                fault.c_str());
    std::fflush(stdout);
}

void report_retransmissions(std::uint64_t segments)
{
    std::printf("{\"retransmissions\": %llu}\n", static_cast<unsigned long long>(segments));
    std::fflush(stdout);
}

} // namespace sluice::transfer
