// The strict YAML reader. The only source that knows yaml-cpp is reader.cpp; exceptions of that library end there.
#pragma once

#include <config/tree.hpp>

namespace sluice::config {

struct ReaderLimits {
    std::size_t bytes = 4U << 20U; ///< Of one file.
    std::size_t nodes = 500'000;   ///< Of one file.
    std::size_t depth = 32;
};

/// Reads one text of `sources`. Everything that is not plain, unambiguous YAML is reported: invalid UTF-8, tabs as
/// indentation, duplicate keys, aliases, anchors, tags, a second document, text over several lines without `|` or `>`.
/// A null tree means that nothing could be made of the text; else broken parts are marked and the rest is usable.
[[nodiscard]] std::optional<Node> read_yaml(const Sources& sources, std::uint32_t file, const ReaderLimits& limits,
                                            Report& report);

/// What reaches the reader: without byte order mark, \r\n as \n, one newline at most at the end.
[[nodiscard]] std::string normalised(std::string text);

} // namespace sluice::config
