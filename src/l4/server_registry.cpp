#include <sluice/l4/server_registry.hpp>

#include <algorithm>

namespace sluice::l4 {
namespace {

bool unused(const health::Server& server) noexcept { return server.flows().all() == 0; }

} // namespace

ServerRegistry::ServerRegistry(std::size_t capacity)
    : capacity_{std::min(capacity, maximum_capacity)}, slots_{std::make_unique<Slot[]>(capacity_)}, owned_(capacity_),
      generations_(capacity_, 0)
{
    free_.reserve(capacity_);
    for (std::size_t index = capacity_; index-- > 0;) {
        free_.push_back(static_cast<std::uint32_t>(index));
    }
}

ServerId ServerRegistry::add(std::shared_ptr<health::Server> server)
{
    if (free_.empty()) {
        return {};
    }
    const std::uint32_t index = free_.back();
    free_.pop_back();
    std::uint32_t& generation = generations_[index];
    generation = generation == generation_mask ? 1 : generation + 1;
    slots_[index].server.store(server.get(), std::memory_order_relaxed);
    slots_[index].path_mtu.store(0, std::memory_order_relaxed);
    slots_[index].word.store(generation << 1U | 1U, std::memory_order_release);
    owned_[index] = std::move(server);
    return ServerId{index << generation_bits | generation};
}

void ServerRegistry::retire(ServerId id) noexcept
{
    if (const Entry entry = find(id); entry.server != nullptr && entry.listed) {
        const std::uint32_t index = id.value >> generation_bits;
        slots_[index].word.store((id.value & generation_mask) << 1U, std::memory_order_release);
        retired_.push_back(index);
    }
}

void ServerRegistry::restore(ServerId id) noexcept
{
    if (const Entry entry = find(id); entry.server != nullptr && !entry.listed) {
        const std::uint32_t index = id.value >> generation_bits;
        slots_[index].word.store((id.value & generation_mask) << 1U | 1U, std::memory_order_release);
        std::erase(retired_, index);
    }
}

void ServerRegistry::learn_path_mtu(ServerId id, std::uint16_t mtu, TimePoint now) noexcept
{
    constexpr std::chrono::minutes remembered{10};
    if (const std::uint32_t index = id.value >> generation_bits; index < capacity_) {
        slots_[index].path_mtu.store(second_of(now + remembered) << 16U | mtu, std::memory_order_relaxed);
    }
}

std::vector<ServerId> ServerRegistry::reclaim()
{
    std::vector<ServerId> gone;
    std::erase_if(retired_, [&](std::uint32_t index) {
        if (!unused(*owned_[index])) {
            return false;
        }
        slots_[index].word.store(0, std::memory_order_release);
        slots_[index].server.store(nullptr, std::memory_order_relaxed);
        owned_[index].reset();
        free_.insert(free_.begin(), index);
        gone.push_back(ServerId{index << generation_bits | generations_[index]});
        return true;
    });
    return gone;
}

} // namespace sluice::l4
