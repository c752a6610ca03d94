// The file and everything that it includes, as one tree.
#pragma once

#include <config/reader.hpp>
#include <sluice/config/files.hpp>

#include <set>

namespace sluice::config {

/// Reads texts and merges them: lists append, maps merge key by key, any other key said twice is an error.
class Includer {
public:
    Includer(const Files& files, Sources& sources, Report& report) : files_{files}, sources_{sources}, report_{report}
    {
    }

    /// The merged tree without its `include` keys; null when a text could not be read at all.
    [[nodiscard]] std::optional<Node> read(const std::string& path);

private:
    static constexpr std::size_t most_files = 256;
    static constexpr std::size_t most_bytes = 16U << 20U; ///< Of all texts together.
    static constexpr std::size_t deepest = 8;

    [[nodiscard]] std::optional<Node> read_text(const std::string& path, const Where& asked_by);
    void resolve(Node& tree);
    void include_pattern(Node& tree, const Node& pattern);
    void merge(Node& into, Node&& from);

    const Files& files_;
    Sources& sources_;
    Report& report_;
    std::vector<std::string> open_; ///< Canonical names of the files that are being read, outermost first.
    std::set<std::string> seen_;
    std::size_t bytes_ = 0;
    bool failed_ = false;
};

} // namespace sluice::config
