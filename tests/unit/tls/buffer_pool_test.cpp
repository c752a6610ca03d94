#include <sluice/tls/buffer_pool.hpp>

#include <gtest/gtest.h>

#include <vector>

namespace sluice::tls {
namespace {

TEST(BufferPool, lends_as_many_as_its_limit)
{
    BufferPool pool{2};
    std::byte* const first = pool.acquire();
    std::byte* const second = pool.acquire();
    EXPECT_EQ(pool.acquire(), nullptr);
    pool.release(first);
    std::byte* const third = pool.acquire();
    EXPECT_NE(third, nullptr);
    pool.release(second);
    pool.release(third);
}

// The symptom: the memory of the busiest moment stayed with the worker for good.
TEST(BufferPool, keeps_a_few_free_blocks_and_gives_the_rest_back)
{
    BufferPool pool{10 * BufferPool::kept};
    std::vector<std::byte*> crowd;
    for (std::size_t block = 0; block < 4 * BufferPool::kept; ++block) {
        crowd.push_back(pool.acquire());
    }
    for (std::byte* block : crowd) {
        pool.release(block);
    }
    EXPECT_EQ(pool.lent(), 0U);
    EXPECT_EQ(pool.free(), std::size_t{BufferPool::kept});
}

} // namespace
} // namespace sluice::tls
