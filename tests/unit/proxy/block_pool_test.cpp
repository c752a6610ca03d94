#include <proxy/block_pool.hpp>

#include <gtest/gtest.h>

namespace sluice::proxy::test {
namespace {

TEST(BlockPool, lends_as_many_as_its_limit)
{
    BlockPool pool{2};
    BlockPool::Block first = pool.take();
    const BlockPool::Block second = pool.take();
    EXPECT_TRUE(first && second);
    EXPECT_FALSE(pool.take());
    first.reset();
    EXPECT_TRUE(pool.take());
}

// The symptom: the memory of the busiest moment stayed with the worker for good.
TEST(BlockPool, keeps_a_few_free_blocks_and_gives_the_rest_back)
{
    BlockPool pool{10 * BlockPool::kept};
    {
        std::vector<BlockPool::Block> crowd;
        for (std::size_t block = 0; block < 4 * BlockPool::kept; ++block) {
            crowd.push_back(pool.take());
        }
        EXPECT_EQ(pool.lent(), 4 * BlockPool::kept);
    }
    EXPECT_EQ(pool.lent(), 0U);
    EXPECT_EQ(pool.free(), std::size_t{BlockPool::kept});
}

} // namespace
} // namespace sluice::proxy::test
