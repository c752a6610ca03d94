#include <sluice/handoff/mesh.hpp>

#include <bit>

namespace sluice::handoff {

Mesh::Mesh(std::size_t cores, std::size_t ring_capacity) : rings_(cores * cores), rows_(cores)
{
    for (std::size_t from = 0; from < cores; ++from) {
        wakeups_.push_back(std::make_unique<Wakeup>());
        for (std::size_t to = 0; to < cores; ++to) {
            if (from != to) {
                rings_[from * cores + to] = std::make_unique<Ring<Message>>(ring_capacity);
            }
        }
    }
}

void Mesh::flush(std::size_t from) noexcept
{
    for (std::uint64_t touched = std::exchange(row(from).touched, 0); touched != 0; touched &= touched - 1) {
        wakeups_[static_cast<std::size_t>(std::countr_zero(touched))]->wake();
    }
}

bool Mesh::pending(std::size_t to) const noexcept
{
    for (std::size_t from = 0; from < cores(); ++from) {
        if (from != to && !rings_[from * cores() + to]->empty()) {
            return true;
        }
    }
    return false;
}

} // namespace sluice::handoff
