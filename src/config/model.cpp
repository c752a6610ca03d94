#include <sluice/config/model.hpp>

#include <algorithm>

namespace sluice::config {

namespace {

template <class Item>
const Item* find_by_name(const std::vector<Item>& items, std::string_view name) noexcept
{
    const auto found =
        std::find_if(items.begin(), items.end(), [&](const Item& item) { return item.name.value == name; });
    return found == items.end() ? nullptr : &*found;
}

} // namespace

Admin::Admin() : listen{{wire::IpAddress::v4(0x7f000001), 9180}, {}} {}

const Pool* find_pool(const Model& model, std::string_view name) noexcept { return find_by_name(model.pools, name); }
const NetworkList* find_list(const Model& model, std::string_view name) noexcept
{
    return find_by_name(model.lists, name);
}
const Port* find_port(const Model& model, std::string_view name) noexcept { return find_by_name(model.ports, name); }

} // namespace sluice::config
