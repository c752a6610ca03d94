// Suggestions: the nearest of the allowed words, our name for a word of another program, the map where a key belongs.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace sluice::config {

/// The allowed word that was probably meant; empty when none is near enough.
[[nodiscard]] std::string_view nearest(std::string_view word, std::span<const std::string_view> allowed);

/// What a word of Keepalived, LVS, Nginx or HAProxy is called here; empty when it is none.
[[nodiscard]] std::string_view our_name(std::string_view word);

} // namespace sluice::config
