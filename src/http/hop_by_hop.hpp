// Fields that belong to one connection (RFC 9110 section 7.6.1).
#pragma once

#include <sluice/http/fields.hpp>

namespace sluice::http {

[[nodiscard]] bool is_hop_by_hop(std::string_view name) noexcept;
/// Whether remove_hop_by_hop() would find something: Connection is itself one of them.
[[nodiscard]] bool has_hop_by_hop(const Fields& fields) noexcept;

} // namespace sluice::http
