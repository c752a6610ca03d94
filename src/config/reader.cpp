#include <config/quote.hpp>
#include <config/reader.hpp>
#include <config/syntax.hpp>

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <istream>
#include <streambuf>
#include <unordered_map>

namespace sluice::config {

namespace {

/// Ends the scan after something that makes the rest meaningless; it was reported already.
struct GiveUp {};

/// Builds the tree from yaml-cpp's events.
class TreeBuilder final : public YAML::EventHandler {
public:
    TreeBuilder(const Sources& sources, std::uint32_t file, const ReaderLimits& limits, Report& report)
        : file_{sources[file]}, index_{file}, limits_{limits}, report_{report}
    {
    }

    void OnDocumentStart(const YAML::Mark& mark) override
    {
        if (++documents_ == 1) {
            return;
        }
        const Mark at = here(mark);
        if (file_.line(at.line).substr(0, 3) == "---") {
            report_.error(at, "a second document starts here", "put everything into one document, or use `include`");
        } else {
            report_.error(at, "this does not belong to what stands above it",
                          "a list and keys cannot stand side by side");
        }
        throw GiveUp{};
    }
    void OnDocumentEnd() override {}

    void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override
    {
        Node node = begin(mark, "?", anchor);
        add(std::move(node));
    }

    void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override
    {
        refuse_alias(here(mark));
        Node node;
        node.kind = Node::Kind::broken;
        node.mark = here(mark);
        add(std::move(node));
    }

    void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  const std::string& value) override
    {
        Node node = begin(mark, tag, anchor);
        if (node.kind != Node::Kind::broken) {
            node.kind = Node::Kind::scalar;
            node.quoted = tag == "!";
            node.text = value;
            check_one_line(node);
        }
        add(std::move(node));
    }

    void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                         YAML::EmitterStyle::value) override
    {
        open(begin(mark, tag, anchor), Node::Kind::list);
    }
    void OnSequenceEnd() override { close(); }

    void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                    YAML::EmitterStyle::value) override
    {
        open(begin(mark, tag, anchor), Node::Kind::map);
    }
    void OnMapEnd() override { close(); }

    [[nodiscard]] std::optional<Node> take()
    {
        for (const SyntaxProblem& problem : run_on_) {
            refuse(problem);
        }
        return std::move(root_);
    }
    [[nodiscard]] Mark here(const YAML::Mark& mark) const
    {
        return {index_, static_cast<std::uint32_t>(std::max(mark.line, 0) + 1),
                static_cast<std::uint32_t>(std::max(mark.column, 0) + 1)};
    }

private:
    struct Level {
        Node node;
        std::optional<Node> key; ///< Of a map: the key whose value comes next.
        std::unordered_map<std::string, Mark> seen;
    };

    [[nodiscard]] std::string_view rest_of_line(const Mark& mark) const
    {
        const std::string_view line = file_.line(mark.line);
        return mark.column - 1 < line.size() ? line.substr(mark.column - 1) : std::string_view{};
    }

    void refuse(const SyntaxProblem& problem) { report_.error(problem.mark, problem.message, problem.hint); }

    void refuse_alias(const Mark& at)
    {
        report_.error(at, "aliases (`*name`) are not used here",
                      "write the value itself; what repeats belongs into `defaults`");
    }

    Node begin(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor)
    {
        Node node;
        node.mark = here(mark);
        if (++nodes_ > limits_.nodes) {
            report_.error(node.mark, "more than " + std::to_string(limits_.nodes) + " values in one file");
            throw GiveUp{};
        }
        const bool tagged = (tag != "?" && tag != "!") || rest_of_line(node.mark).substr(0, 1) == "!";
        if (tagged) {
            report_.error(node.mark, "tags (`!name`) are not used here", "leave the tag out");
            node.kind = Node::Kind::broken;
        } else if (anchor != 0) {
            report_.error(node.mark, "anchors (`&name`) are not used here", "leave the anchor out");
            node.kind = Node::Kind::broken;
        }
        return node;
    }

    /// Text that runs on over lines is nearly always a forgotten quote, colon or dash. When the scanner stumbles later,
    /// it was over this, and what it says then is nearer to the cause.
    void check_one_line(Node& node)
    {
        const std::string_view rest = rest_of_line(node.mark);
        if (rest.empty() || rest.front() == '|' || rest.front() == '>') {
            return; // Block text says that it has several lines.
        }
        if (node.quoted && !quote_closes(rest, 0)) {
            run_on_.push_back(explain_syntax(file_, node.mark, run_on_text));
            node.kind = Node::Kind::broken;
        } else if (!node.quoted && rest.substr(0, node.text.size()) != node.text) {
            run_on_.push_back(explain_syntax(file_, {index_, node.mark.line + 1, 1}, run_on_text));
            node.kind = Node::Kind::broken;
        }
    }

    void open(Node node, Node::Kind kind)
    {
        if (levels_.size() >= limits_.depth) {
            report_.error(node.mark, "nested more than " + std::to_string(limits_.depth) + " levels deep");
            throw GiveUp{};
        }
        node.kind = node.kind == Node::Kind::broken ? Node::Kind::broken : kind;
        levels_.push_back({std::move(node), {}, {}});
        containers_.push_back(kind);
    }

    void close()
    {
        Node node = std::move(levels_.back().node);
        levels_.pop_back();
        containers_.pop_back();
        add(std::move(node));
    }

    void add(Node node)
    {
        if (levels_.empty()) {
            root_ = std::move(node);
            return;
        }
        Level& level = levels_.back();
        if (containers_.back() == Node::Kind::list) {
            level.node.items.push_back(std::move(node));
        } else if (!level.key) {
            level.key = std::move(node);
        } else {
            const Node key = std::move(*level.key);
            level.key.reset();
            add_entry(level, key, std::move(node));
        }
    }

    void add_entry(Level& level, const Node& key, Node value)
    {
        if (key.kind == Node::Kind::broken) {
            return;
        }
        if (key.kind != Node::Kind::scalar) {
            refuse(explain_syntax(file_, key.mark, "a key must be a word"));
            throw GiveUp{};
        }
        if (const auto problem = explain_key(file_, key.mark, key.text); problem && !key.quoted) {
            refuse(*problem);
            if (key.text.front() == '-') {
                level.node.kind = Node::Kind::broken; // A list was meant.
            }
            return;
        }
        if (key.text == "<<" && !key.quoted) {
            report_.error(key.mark, "merge keys (`<<`) are not used here",
                          "write the keys themselves; what repeats belongs into `defaults`");
            return;
        }
        const auto [first, inserted] = level.seen.emplace(key.text, key.mark);
        if (!inserted) {
            report_.error(key.mark, "the key " + tick(key.text) + " stands here twice");
            report_.note(first->second, "it stands here first");
            return;
        }
        level.node.entries.push_back({key.text, key.mark, std::move(value)});
    }

    const SourceFile& file_;
    std::uint32_t index_;
    const ReaderLimits& limits_;
    Report& report_;
    std::vector<Level> levels_;
    std::vector<Node::Kind> containers_; ///< What each level is, even when its node is broken.
    std::vector<SyntaxProblem> run_on_;  ///< Reported at the end.
    std::optional<Node> root_;
    std::size_t nodes_ = 0;
    std::size_t documents_ = 0;
};

/// A stream over text that is already in memory.
class TextBuffer final : public std::streambuf {
public:
    explicit TextBuffer(const std::string& text)
    {
        char* begin = const_cast<char*>(text.data()); // streambuf has no read-only area; nothing writes to it.
        setg(begin, begin, begin + text.size());
    }
};

} // namespace

std::string normalised(std::string text)
{
    if (text.starts_with("\xef\xbb\xbf")) {
        text.erase(0, 3);
    }
    std::size_t out = 0;
    for (std::size_t index = 0; index < text.size(); ++index) {
        if (text[index] == '\r' && index + 1 < text.size() && text[index + 1] == '\n') {
            continue;
        }
        text[out++] = text[index];
    }
    text.resize(out);
    // yaml-cpp accepts a quote that never closes when the text ends in a newline.
    while (text.ends_with('\n') || text.ends_with(' ')) {
        text.pop_back();
    }
    return text;
}

std::optional<Node> read_yaml(const Sources& sources, std::uint32_t file, const ReaderLimits& limits, Report& report)
{
    const SourceFile& source = sources[file];
    if (source.text.size() > limits.bytes) {
        report.error(Where{{source.name, 0, 0}}, "larger than " + std::to_string(limits.bytes >> 20U) + " MiB");
        return std::nullopt;
    }
    if (const auto problem = find_bad_byte(source, file)) {
        report.error(problem->mark, problem->message, problem->hint);
        return std::nullopt;
    }
    if (const auto problem = find_tab_indentation(source, file)) {
        report.error(problem->mark, problem->message, problem->hint);
        return std::nullopt;
    }
    TreeBuilder builder{sources, file, limits, report};
    try {
        TextBuffer buffer{source.text};
        std::istream stream{&buffer};
        YAML::Parser parser{stream};
        while (parser.HandleNextDocument(builder)) {
        }
        return builder.take();
    } catch (const GiveUp&) {
    } catch (const YAML::Exception& exception) {
        const SyntaxProblem problem = explain_syntax(source, builder.here(exception.mark), exception.msg);
        report.error(problem.mark, problem.message, problem.hint);
    } catch (const std::exception& exception) {
        report.error(Where{{source.name, 0, 0}}, std::string{"cannot be read: "} + exception.what());
    }
    return std::nullopt;
}

} // namespace sluice::config
