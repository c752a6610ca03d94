// What an idle connection costs. The allocator's own count, so not under a sanitizer's allocator.
#include "material.hpp"

#include <gtest/gtest.h>

#include <malloc.h>

#include <deque>
#include <memory>

namespace sluice::tls {
namespace {

using namespace test;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool allocator_counts = false;
#else
constexpr bool allocator_counts = true;
#endif

TEST(IdleConnection, costs_less_than_17_KiB)
{
    if (!allocator_counts) {
        GTEST_SKIP() << "the sanitizer replaces the allocator";
    }
    constexpr std::size_t connections = 200;
    constexpr std::size_t limit = 17 * 1024;
    BufferPool pool{8};
    const auto server_side = server_context(options({make_certificate({"a.example.org"})}));
    for (const Version version : {Version::tls1_2, Version::tls1_3}) {
        const auto client_side = client_context({.verify = false, .max_version = version});
        std::deque<Engine> servers;
        std::deque<std::unique_ptr<Engine>> clients;
        const std::size_t before = mallinfo2().uordblks;
        for (std::size_t index = 0; index < connections; ++index) {
            clients.push_back(std::make_unique<Engine>(client_side, "a.example.org", pool));
            Engine& server = servers.emplace_back(server_side, pool);
            Conversation talk{*clients.back(), server};
            ASSERT_TRUE(talk.handshake());
            ASSERT_EQ(talk.deliver(*clients.back(), server, "request"), "request");
            ASSERT_EQ(talk.deliver(server, *clients.back(), "response"), "response");
        }
        clients.clear();
        const std::size_t each = (mallinfo2().uordblks - before) / connections;
        RecordProperty("bytes", static_cast<int>(each));
        EXPECT_LT(each, limit);
        EXPECT_EQ(pool.lent(), 0U);
    }
}

} // namespace
} // namespace sluice::tls
