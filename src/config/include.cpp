#include <config/include.hpp>
#include <config/quote.hpp>
#include <config/reading.hpp>

#include <algorithm>
#include <unordered_map>

namespace sluice::config {

std::optional<Node> Includer::read(const std::string& path)
{
    auto tree = read_text(path, Where{{path, 0, 0}});
    return failed_ ? std::nullopt : std::move(tree);
}

std::optional<Node> Includer::read_text(const std::string& path, const Where& asked_by)
{
    const std::string canonical = files_.canonical(path);
    if (std::find(open_.begin(), open_.end(), canonical) != open_.end()) {
        report_.error(asked_by, tick(path) + " includes itself");
        failed_ = true;
        return std::nullopt;
    }
    if (!seen_.insert(canonical).second) {
        report_.error(asked_by, tick(path) + " is included twice");
        return std::nullopt;
    }
    if (open_.size() >= deepest || seen_.size() > most_files) {
        report_.error(asked_by, "too many includes", "at most 256 files, 8 levels deep");
        failed_ = true;
        return std::nullopt;
    }
    const ReaderLimits limits;
    auto content = files_.read(path, limits.bytes);
    if (!content) {
        report_.error(asked_by, tick(path) + " cannot be read: " + content.error().message);
        failed_ = true;
        return std::nullopt;
    }
    bytes_ += content->text.size();
    if (bytes_ > most_bytes) {
        report_.error(asked_by, "the files are larger than 16 MiB together");
        failed_ = true;
        return std::nullopt;
    }
    const std::uint32_t index = sources_.add(path, normalised(std::move(content->text)));
    const std::size_t before = report_.errors();
    auto tree = read_yaml(sources_, index, limits, report_);
    if (!tree && report_.errors() != before) {
        failed_ = true;
        return std::nullopt;
    }
    if (!tree || tree->kind == Node::Kind::null) {
        Node empty;
        empty.kind = Node::Kind::map;
        empty.mark = {index, 1, 1};
        return empty;
    }
    if (tree->kind != Node::Kind::map) {
        if (tree->kind != Node::Kind::broken) {
            report_.error(tree->mark, "a configuration file is a map", "it starts like `ports:`");
        }
        failed_ = true;
        return std::nullopt;
    }
    open_.push_back(canonical);
    resolve(*tree);
    open_.pop_back();
    return tree;
}

void Includer::resolve(Node& tree)
{
    const auto found = std::find_if(tree.entries.begin(), tree.entries.end(),
                                    [](const Entry& entry) { return entry.key == "include"; });
    if (found == tree.entries.end()) {
        return;
    }
    const Entry include = std::move(*found);
    tree.entries.erase(found);
    if (include.value.kind != Node::Kind::list) {
        const bool dash = include.value.kind == Node::Kind::scalar && include.value.text.starts_with('-');
        report_.error(include.mark, "`include` is a list of files",
                      dash ? "a list item needs a space after its dash" : "include: [site/*.yaml]");
        return;
    }
    for (const Node& pattern : include.value.items) {
        include_pattern(tree, pattern);
    }
}

void Includer::include_pattern(Node& tree, const Node& pattern)
{
    if (pattern.kind != Node::Kind::scalar || pattern.text.empty() || pattern.text.find('\0') != std::string::npos) {
        if (pattern.kind != Node::Kind::broken) {
            report_.error(pattern.mark, "this is neither a file nor a pattern of files");
        }
        return;
    }
    const Where where = sources_.where(pattern.mark);
    const std::string resolved = resolve_path(pattern.text, where.file);
    const bool wildcard = resolved.find_first_of("*?[") != std::string::npos;
    const std::vector<std::string> names = wildcard ? files_.glob(resolved) : std::vector<std::string>{resolved};
    if (names.empty()) {
        report_.warning(where, tick(resolved) + " matches no file");
    }
    for (const std::string& name : names) {
        if (auto included = read_text(name, where)) {
            merge(tree, std::move(*included));
        }
        if (failed_) {
            return;
        }
    }
}

void Includer::merge(Node& into, Node&& from)
{
    std::unordered_map<std::string, std::size_t> index;
    for (std::size_t at = 0; at < into.entries.size(); ++at) {
        index.emplace(into.entries[at].key, at);
    }
    for (Entry& entry : from.entries) {
        const auto found = index.find(entry.key);
        if (found == index.end()) {
            into.entries.push_back(std::move(entry));
            continue;
        }
        Entry& present = into.entries[found->second];
        if (present.value.kind == Node::Kind::list && entry.value.kind == Node::Kind::list) {
            std::move(entry.value.items.begin(), entry.value.items.end(), std::back_inserter(present.value.items));
        } else if (present.value.kind == Node::Kind::map && entry.value.kind == Node::Kind::map) {
            merge(present.value, std::move(entry.value));
        } else {
            report_.error(entry.mark, "the key " + tick(entry.key) + " is said twice");
            report_.note(present.mark, "it is said here first");
        }
    }
}

} // namespace sluice::config
