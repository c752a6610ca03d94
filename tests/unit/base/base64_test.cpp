#include <sluice/base/base64.hpp>

#include <gtest/gtest.h>

namespace sluice {
namespace {

std::string encoded(std::string_view text) { return base64_encode(std::as_bytes(std::span{text})); }

TEST(Base64, vectors_of_rfc_4648)
{
    EXPECT_EQ(encoded(""), "");
    EXPECT_EQ(encoded("f"), "Zg==");
    EXPECT_EQ(encoded("fo"), "Zm8=");
    EXPECT_EQ(encoded("foo"), "Zm9v");
    EXPECT_EQ(encoded("foob"), "Zm9vYg==");
    EXPECT_EQ(encoded("fooba"), "Zm9vYmE=");
    EXPECT_EQ(encoded("foobar"), "Zm9vYmFy");
}

TEST(Base64, every_byte_comes_back_at_every_length)
{
    std::vector<std::byte> bytes;
    for (unsigned value = 0; value < 300; ++value) {
        const auto back = base64_decode(base64_encode(bytes));
        ASSERT_TRUE(back);
        EXPECT_EQ(*back, bytes);
        bytes.push_back(static_cast<std::byte>(value * 7));
    }
}

TEST(Base64, what_is_none_is_refused)
{
    for (const char* text : {"Z", "Zg=", "Zg==Zg==", "Z===", "====", "Zm9\n", "Zm-v"}) {
        EXPECT_FALSE(base64_decode(text)) << text;
    }
}

} // namespace
} // namespace sluice
