#include "support/frames.hpp"

#include <sluice/base/random.hpp>

#include <gtest/gtest.h>

namespace sluice::wire {
namespace {

using test::Frame;
using test::ip;

/// The definition of RFC 1071, word by word.
std::uint16_t reference(Bytes data)
{
    std::uint32_t sum = 0;
    for (std::size_t index = 0; index < data.size(); ++index) {
        sum += static_cast<std::uint32_t>(data[index]) << (index % 2 == 0 ? 8 : 0);
    }
    while (sum > 0xffff) {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    return static_cast<std::uint16_t>(~sum);
}

Frame random_bytes(Random& random, std::size_t size)
{
    Frame bytes(size);
    for (auto& byte : bytes) {
        byte = static_cast<std::byte>(random.next());
    }
    return bytes;
}

TEST(Checksum, equals_the_definition_at_every_length)
{
    Random random{7};
    for (std::size_t size = 0; size <= 600; ++size) { // Beyond 192 in vectors, where the processor has them
        const Frame bytes = random_bytes(random, size + 1);
        EXPECT_EQ(checksum(Bytes{bytes}.first(size)), reference(Bytes{bytes}.first(size))) << size;
        EXPECT_EQ(checksum(Bytes{bytes}.subspan(1)), reference(Bytes{bytes}.subspan(1))) << size << ", not aligned";
    }
    for (const std::size_t size : {64U, 1460U, 65535U}) { // Every carry there can be
        EXPECT_EQ(checksum(Frame(size, std::byte{0xff})), reference(Frame(size, std::byte{0xff}))) << size;
    }
    EXPECT_EQ(checksum(test::from_hex("0001 f203 f4f5 f6f7")), 0x220d); // RFC 1071 §3
}

TEST(Checksum, copy_and_sum_in_one_pass_do_both)
{
    Random random{8};
    for (std::size_t size = 0; size <= 600; ++size) {
        const Frame bytes = random_bytes(random, size);
        Frame copy(size + 1, std::byte{0xee});
        ChecksumSum sum;
        sum.add_and_copy(bytes, copy.data());
        EXPECT_EQ(sum.finish(), checksum(bytes));
        EXPECT_TRUE(std::equal(bytes.begin(), bytes.end(), copy.begin()));
        EXPECT_EQ(copy.back(), std::byte{0xee}) << "wrote behind the end";
    }
}

TEST(ChecksumDelta, equals_a_checksum_computed_anew)
{
    Random random{9};
    for (int round = 0; round < 2000; ++round) {
        Frame bytes = random_bytes(random, 40);
        store16(bytes.data() + 10, 0);
        store16(bytes.data() + 10, checksum(bytes));
        const Frame before = bytes;
        const auto value32 = static_cast<std::uint32_t>(random.next());
        const auto value16 = static_cast<std::uint16_t>(random.next());
        store32(bytes.data() + 12, value32);
        store16(bytes.data() + 20, value16);
        ChecksumDelta delta;
        delta.replace32(load32(before.data() + 12), value32);
        delta.replace16(load16(before.data() + 20), value16);
        store16(bytes.data() + 10, delta.apply(load16(before.data() + 10)));
        ChecksumSum sum;
        sum.add(bytes);
        EXPECT_TRUE(sum.valid()) << "round " << round;
    }
}

TEST(ChecksumDelta, udp_without_checksum_stays_without)
{
    ChecksumDelta delta;
    delta.replace(ip("192.0.2.1"), ip("198.51.100.9"));
    EXPECT_EQ(delta.apply_udp(0), 0);
    for (std::uint32_t field = 1; field <= 0xffff; ++field) {
        ASSERT_NE(delta.apply_udp(static_cast<std::uint16_t>(field)), 0) << "a sum of 0 must be sent as 0xffff";
    }
}

TEST(ChecksumDelta, addresses_of_both_families_can_be_exchanged)
{
    const Frame payload = test::bytes_of("hello");
    const Frame before = test::udp_packet({ip("192.0.2.1"), 1000}, {ip("192.0.2.2"), 53}, payload);
    const Frame after = test::udp_packet({ip("2001:db8::1"), 1000}, {ip("2001:db8::2"), 53}, payload);
    ChecksumDelta delta;
    delta.replace(ip("192.0.2.1"), ip("2001:db8::1"));
    delta.replace(ip("192.0.2.2"), ip("2001:db8::2"));
    EXPECT_EQ(delta.apply_udp(load16(before.data() + 26)), load16(after.data() + 46));
}

} // namespace
} // namespace sluice::wire
