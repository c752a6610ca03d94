// Flows and who owns them: the five-tuple, the 64 shards, the split of local ports. Any core.
#pragma once

#include <sluice/base/siphash.hpp>
#include <sluice/wire/address.hpp>

#include <array>
#include <cstdint>

namespace sluice::flow {

/// One direction of a flow as it stands in a packet.
struct FiveTuple {
    wire::IpAddress source;
    wire::IpAddress destination;
    std::uint16_t source_port = 0;
    std::uint16_t destination_port = 0;
    std::uint8_t protocol = 0;

    [[nodiscard]] FiveTuple reversed() const noexcept
    {
        return {destination, source, destination_port, source_port, protocol};
    }
    bool operator==(const FiveTuple&) const noexcept = default;
};

/// For tables: keyed with a secret of this process, so that nobody outside can choose collisions.
[[nodiscard]] inline std::uint64_t hash(const HashKey& key, const FiveTuple& tuple) noexcept
{
    const std::uint64_t ports =
        std::uint64_t{tuple.source_port} << 32U | std::uint64_t{tuple.destination_port} << 16U | tuple.protocol;
    return siphash13_words(key, tuple.source.high(), tuple.source.low(), tuple.destination.high(),
                           tuple.destination.low(), ports);
}

inline constexpr std::size_t shard_count = 64;

/// 0..63. A core owns shards; a shard has one owner.
using Shard = std::uint8_t;

/// The one rule of ownership, equal on both nodes of a pair and in every layout of cores: nothing reloadable enters it.
[[nodiscard]] inline Shard shard_of_client(const wire::IpAddress& client, std::uint16_t port) noexcept
{
    constexpr HashKey agreed{0x536c756963652031ULL, 0x7368617264732121ULL};
    return static_cast<Shard>(siphash13_words(agreed, client.high(), client.low(), port) % shard_count);
}

/// A port that we picked ourselves carries its shard.
[[nodiscard]] constexpr Shard shard_of_local_port(std::uint16_t port) noexcept
{
    return static_cast<Shard>(port % shard_count);
}

/// Local ports on our own addresses, split once. Limits are multiples of 64, so every range has every shard equally
/// often.
namespace local_ports {
struct Range {
    std::uint16_t first;
    std::uint16_t last; ///< Inclusive
    [[nodiscard]] constexpr bool contains(std::uint16_t port) const noexcept { return port >= first && port <= last; }
};
inline constexpr Range probes{1024, 4095};
inline constexpr Range workers{4096, 32767};
inline constexpr Range full_nat{32768, 65535};
} // namespace local_ports

/// Which core owns each shard. Core indices are positions in the list of forwarders or workers.
class ShardMap {
public:
    /// Shards dealt out evenly over `owners` (1..64).
    explicit ShardMap(std::size_t owners = 1) noexcept
    {
        for (std::size_t shard = 0; shard < shard_count; ++shard) {
            owner_[shard] = static_cast<std::uint8_t>(shard % owners);
        }
    }
    [[nodiscard]] std::size_t owner(Shard shard) const noexcept { return owner_[shard]; }

private:
    std::array<std::uint8_t, shard_count> owner_{};
};

} // namespace sluice::flow
