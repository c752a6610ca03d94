// Answers for people: tables and sentences from the JSON that programs get.
#pragma once

#include <boost/json/object.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace sluice::ctl {

/// Columns as wide as their widest cell; numbers (a cell of digits) to the right. The last column is not padded.
[[nodiscard]] std::string format_table(const std::vector<std::string>& header,
                                       const std::vector<std::vector<std::string>>& rows);

/// The answer of a verb as a person reads it. `plan`: it was asked for with --plan.
[[nodiscard]] std::string render(std::string_view verb, const boost::json::object& answer);
/// One line of `events` or `connections`.
[[nodiscard]] std::string render_line(std::string_view verb, const boost::json::object& line);
/// The header above the lines of `connections`.
[[nodiscard]] std::string connections_header();
/// The lines below a connection that was asked for with everything about it.
[[nodiscard]] std::string connection_detail(const boost::json::object& line);

/// 93784 as "1d2h", 125 as "2m5s", 0.25 as "250ms".
[[nodiscard]] std::string duration_text(double seconds);

} // namespace sluice::ctl
