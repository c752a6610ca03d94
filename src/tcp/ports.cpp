#include <sluice/tcp/ports.hpp>

namespace sluice::tcp {

ShardPorts::ShardPorts(const HashKey& secret, flow::local_ports::Range range, std::uint64_t shards) noexcept
    : secret_{secret}, range_{range}
{
    for (std::size_t shard = 0; shard < flow::shard_count; ++shard) {
        if ((shards >> shard & 1U) != 0) {
            owned_[owned_count_++] = static_cast<std::uint8_t>(shard);
        }
    }
}

std::uint16_t ShardPorts::choose(const wire::IpAddress& local, const wire::Endpoint& remote,
                                 const PortQuestion& question) noexcept
{
    const auto blocks = static_cast<std::uint32_t>((range_.last - range_.first + 1U) / flow::shard_count);
    const std::uint32_t total = blocks * owned_count_;
    if (total == 0) {
        return 0;
    }
    const auto offset = static_cast<std::uint32_t>(
        siphash13_words(secret_, local.high(), local.low(), remote.address.high(), remote.address.low(), remote.port));
    const unsigned tries = total < attempts ? total : attempts;
    for (unsigned attempt = 0; attempt < tries; ++attempt) {
        const std::uint32_t index = (offset + next_++) % total;
        // Neighbouring indices differ in the block, so that consecutive ports are not consecutive numbers.
        const std::size_t port = range_.first + index % blocks * flow::shard_count + owned_[index / blocks];
        if (question.is_free(static_cast<std::uint16_t>(port))) {
            return static_cast<std::uint16_t>(port);
        }
    }
    return 0;
}

} // namespace sluice::tcp
