// Which generations of configuration something still refers to: the cores while they take up the next one, and requests
// and tunnels that began under an older one. Control thread only.
#pragma once

#include <sluice/control/snapshot.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace sluice::control {

class LiveGenerations {
public:
    /// The generation that was just published. What it shares with those before counts as its own from now on.
    void add(const Snapshot& snapshot);
    /// The present one included. Without a reload under way and without a request that outlived one it is 1.
    [[nodiscard]] std::size_t count();

private:
    struct Part {
        std::weak_ptr<const void> object;
        std::uint64_t generation;
    };
    void add(std::shared_ptr<const void> object, std::uint64_t generation);

    std::vector<Part> parts_;
};

} // namespace sluice::control
