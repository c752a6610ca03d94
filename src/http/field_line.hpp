// One line of a header or trailer section (RFC 9112 section 5).
#pragma once

#include <sluice/base/bytes.hpp>
#include <sluice/base/result.hpp>
#include <sluice/http/fields.hpp>
#include <sluice/http/reason.hpp>

namespace sluice::http::http1 {

/// Adds `name: value` to `fields`; `line` is not empty and has no line end.
[[nodiscard]] Expected<void, Reason> parse_field_line(std::string_view line, std::uint16_t field_limit, Fields& fields);

/// What to call a byte that stands where only printable text may.
[[nodiscard]] inline Reason reason_for_control(char character) noexcept
{
    return character == '\r' ? Reason::bare_cr : Reason::control_character;
}

[[nodiscard]] inline std::string_view as_text(Bytes bytes) noexcept
{
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

} // namespace sluice::http::http1
