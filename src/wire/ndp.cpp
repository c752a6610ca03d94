#include <sluice/wire/ndp.hpp>

namespace sluice::wire {

std::optional<NeighbourOptions> parse_neighbour_options(Bytes options) noexcept
{
    NeighbourOptions found;
    while (!options.empty()) {
        if (options.size() < 2) {
            return std::nullopt;
        }
        const std::size_t length = std::size_t{load8(options.data() + 1)} * 8;
        if (length == 0 || length > options.size()) {
            return std::nullopt;
        }
        const std::uint8_t type = load8(options.data());
        if (length == link_layer_option_size) {
            const MacAddress address = MacAddress::load(options.data() + 2);
            if (type == static_cast<std::uint8_t>(NeighbourOption::source_link_layer)) {
                found.source_link_layer = address;
            } else if (type == static_cast<std::uint8_t>(NeighbourOption::target_link_layer)) {
                found.target_link_layer = address;
            }
        }
        options = options.subspan(length);
    }
    return found;
}

void emit_link_layer_option(std::byte* to, NeighbourOption option, const MacAddress& address) noexcept
{
    store8(to, static_cast<std::uint8_t>(option));
    store8(to + 1, link_layer_option_size / 8);
    address.store(to + 2);
}

} // namespace sluice::wire
