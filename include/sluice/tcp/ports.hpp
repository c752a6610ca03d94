// Local ports of one worker: those of a range whose shard (port mod 64) the worker owns, so replies come back to it.
#pragma once

#include <sluice/base/siphash.hpp>
#include <sluice/flow/flow.hpp>
#include <sluice/tcp/output.hpp>

namespace sluice::tcp {

/// RFC 6056 §3.3.3 (algorithm 3): a keyed offset per destination, then one after the other. Bounded search.
class ShardPorts final : public PortAllocator {
public:
    static constexpr unsigned attempts = 512;

    /// Bit s of `shards` says that shard s is ours.
    ShardPorts(const HashKey& secret, flow::local_ports::Range range, std::uint64_t shards) noexcept;

    [[nodiscard]] std::uint16_t choose(const wire::IpAddress& local, const wire::Endpoint& remote,
                                       const PortQuestion& question) noexcept override;

private:
    HashKey secret_;
    flow::local_ports::Range range_;
    std::array<std::uint8_t, flow::shard_count> owned_{};
    std::uint32_t owned_count_ = 0;
    std::uint32_t next_ = 0;
};

} // namespace sluice::tcp
