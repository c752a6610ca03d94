// What a reload would change: a pure function over two models.
#pragma once

#include <sluice/config/model.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace sluice::control {

enum class ChangeKind : std::uint8_t { added, removed, changed };

[[nodiscard]] std::string_view word(ChangeKind kind) noexcept;

struct Change {
    ChangeKind kind = ChangeKind::changed;
    std::string_view what;            ///< "service", "pool", "vrrp", "port", or a block of the file
    std::string name;                 ///< Empty for blocks
    std::vector<std::string> details; ///< Lines of the file, each behind `- ` or `+ `
};

/// In the order of the file; empty when both models mean the same.
[[nodiscard]] std::vector<Change> plan_changes(const config::Model& running, const config::Model& wanted);

/// The lines that differ, each behind `- ` or `+ `. Empty when the texts are equal.
[[nodiscard]] std::vector<std::string> diff_lines(const std::string& from, const std::string& to);

} // namespace sluice::control
