#include "plan.hpp"

#include <sluice/config/load.hpp>

#include <algorithm>

namespace sluice::control {
namespace {

using Lines = std::vector<std::string_view>;

/// Above this many pairs of lines the middle is shown as replaced altogether: the plan stays cheap for any file.
constexpr std::size_t pairs_limit = 4'000'000;

Lines lines_of(std::string_view text)
{
    Lines lines;
    while (!text.empty()) {
        const std::size_t end = text.find('\n');
        lines.push_back(text.substr(0, end));
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    }
    return lines;
}

void append(std::vector<std::string>& out, std::string_view sign, const Lines& lines)
{
    for (const std::string_view line : lines) {
        out.push_back(std::string{sign} + std::string{line});
    }
}

/// The longest common subsequence decides what stays.
void append_difference(std::vector<std::string>& out, const Lines& from, const Lines& to)
{
    if (from.empty() || to.empty() || from.size() * to.size() > pairs_limit) {
        append(out, "- ", from);
        append(out, "+ ", to);
        return;
    }
    const std::size_t width = to.size() + 1;
    std::vector<std::uint32_t> common((from.size() + 1) * width, 0);
    for (std::size_t row = from.size(); row-- > 0;) {
        for (std::size_t column = to.size(); column-- > 0;) {
            common[row * width + column] = from[row] == to[column] ? common[(row + 1) * width + column + 1] + 1
                                                                   : std::max(common[(row + 1) * width + column],
                                                                              common[row * width + column + 1]);
        }
    }
    std::size_t row = 0;
    std::size_t column = 0;
    while (row < from.size() || column < to.size()) {
        if (row < from.size() && column < to.size() && from[row] == to[column]) {
            ++row;
            ++column;
        } else if (column == to.size() ||
                   (row < from.size() && common[(row + 1) * width + column] >= common[row * width + column + 1])) {
            out.push_back("- " + std::string{from[row++]});
        } else {
            out.push_back("+ " + std::string{to[column++]});
        }
    }
}

/// The file that says only this.
template <class Item>
config::Model alone(std::vector<Item> config::Model::*list, const Item& item)
{
    config::Model model;
    (model.*list).push_back(item);
    return model;
}

template <class Item>
void compare_list(std::vector<Change>& out, std::string_view what, const config::Model& running,
                  const config::Model& wanted, std::vector<Item> config::Model::*list)
{
    const auto find = [list](const config::Model& model, const std::string& name) -> const Item* {
        const auto& items = model.*list;
        const auto found =
            std::find_if(items.begin(), items.end(), [&](const Item& item) { return *item.name == name; });
        return found == items.end() ? nullptr : &*found;
    };
    for (const Item& item : wanted.*list) {
        const Item* known = find(running, *item.name);
        if (known == nullptr) {
            out.push_back({ChangeKind::added, what, *item.name, {}});
        } else if (!(*known == item)) {
            out.push_back({ChangeKind::changed, what, *item.name,
                           diff_lines(config::print(alone(list, *known)), config::print(alone(list, item)))});
        }
    }
    for (const Item& item : running.*list) {
        if (find(wanted, *item.name) == nullptr) {
            out.push_back({ChangeKind::removed, what, *item.name, {}});
        }
    }
}

template <class Block>
void compare_block(std::vector<Change>& out, std::string_view what, const config::Model& running,
                   const config::Model& wanted, Block config::Model::*block)
{
    if (running.*block == wanted.*block) {
        return;
    }
    config::Model before;
    config::Model after;
    before.*block = running.*block;
    after.*block = wanted.*block;
    out.push_back({ChangeKind::changed, what, {}, diff_lines(config::print(before), config::print(after))});
}

} // namespace

std::string_view word(ChangeKind kind) noexcept
{
    static constexpr std::string_view words[] = {"added", "removed", "changed"};
    return words[static_cast<std::size_t>(kind)];
}

std::vector<Change> plan_changes(const config::Model& running, const config::Model& wanted)
{
    std::vector<Change> changes;
    compare_block(changes, "node", running, wanted, &config::Model::node);
    compare_block(changes, "cpu", running, wanted, &config::Model::cpu);
    compare_block(changes, "memory", running, wanted, &config::Model::memory);
    compare_list(changes, "port", running, wanted, &config::Model::ports);
    compare_list(changes, "vrrp", running, wanted, &config::Model::vrrp);
    compare_list(changes, "service", running, wanted, &config::Model::services);
    compare_list(changes, "pool", running, wanted, &config::Model::pools);
    compare_block(changes, "stop", running, wanted, &config::Model::stop);
    compare_block(changes, "control", running, wanted, &config::Model::control);
    compare_block(changes, "admin", running, wanted, &config::Model::admin);
    compare_block(changes, "log", running, wanted, &config::Model::log);
    return changes;
}

std::vector<std::string> diff_lines(const std::string& from, const std::string& to)
{
    Lines before = lines_of(from);
    Lines after = lines_of(to);
    while (!before.empty() && !after.empty() && before.back() == after.back()) {
        before.pop_back();
        after.pop_back();
    }
    std::size_t same = 0;
    while (same < before.size() && same < after.size() && before[same] == after[same]) {
        ++same;
    }
    before.erase(before.begin(), before.begin() + static_cast<std::ptrdiff_t>(same));
    after.erase(after.begin(), after.begin() + static_cast<std::ptrdiff_t>(same));
    std::vector<std::string> out;
    append_difference(out, before, after);
    return out;
}

} // namespace sluice::control
