#include <config/codec.hpp>
#include <config/print.hpp>
#include <config/reference.hpp>
#include <config/schema_pool.hpp>
#include <sluice/config/load.hpp>

#include <algorithm>

namespace sluice::config {

namespace {

struct Row {
    std::string name;
    std::string kind;
    std::string preset; ///< What holds when it is left out.
    std::string text;
    std::string words; ///< Of an enumeration: what each word means.
};

struct Section {
    std::string path; ///< "services[].proxy.tls"
    std::string_view text;
    std::vector<std::string_view> one_of;
    std::vector<Row> rows;
};

/// What a member is made of, without the wrappers.
template <class T>
struct Inner {
    using type = T;
    static constexpr bool list = false;
};
template <class T>
struct Inner<std::vector<T>> {
    using type = typename Inner<T>::type;
    static constexpr bool list = true;
};
template <class T>
struct Inner<std::optional<T>> : Inner<T> {
};
template <class T>
struct Inner<Located<T>> : Inner<T> {
};

std::string support_text(const Support& support)
{
    if (support.proxy && support.forward) {
        return "";
    }
    return support.proxy     ? " (proxies only)"
           : support.forward ? " (forwarding only)"
                             : " (not supported by this build)";
}

template <class T>
std::string words_of()
{
    std::string text;
    if constexpr (Named<T>) {
        for (const auto& item : Names<T>::table) {
            if (!item.text.empty()) {
                text += (text.empty() ? " " : "; ") + ("`" + std::string{item.name} + "`: ") + std::string{item.text} +
                        support_text(item.support);
            }
        }
        text += text.empty() ? "" : ".";
    }
    return text;
}

template <Described T>
void collect(const std::string& path, std::vector<Section>& sections);

/// `defaults`: a default map of this kind, as it would be printed.
template <class Owner, class Member>
Row describe(const Field<Owner, Member>& field, const Node& defaults)
{
    Row row{std::string{field.name},
            Codec<Member>::kind(field.rules),
            {},
            std::string{field.text},
            words_of<typename Inner<Member>::type>()};
    const Entry* preset = defaults.find(field.name);
    if (field.rules.required) {
        row.preset = "**required**";
    } else if (!field.rules.unset.empty()) {
        row.preset = field.rules.unset;
    } else if (preset != nullptr && preset->value.kind != Node::Kind::map) {
        row.preset = "`" + inline_text(preset->value) + "`";
    }
    return row;
}

template <class Owner, class Member>
void collect_below(const std::string& path, const Field<Owner, Member>& field, std::vector<Section>& sections)
{
    using Value = typename Inner<Member>::type;
    if constexpr (Described<Value>) {
        collect<Value>((path.empty() ? "" : path + ".") + std::string{field.name} + (Inner<Member>::list ? "[]" : ""),
                       sections);
    }
}

template <Described T>
void collect(const std::string& path, std::vector<Section>& sections)
{
    Section section{path, Schema<T>::text, {}, {}};
    if constexpr (Alternative<T>) {
        section.one_of.assign(Schema<T>::one_of.begin(), Schema<T>::one_of.end());
    }
    if constexpr (std::same_as<T, Model>) {
        section.rows.push_back(
            {"include",
             "list: file or glob(7) pattern",
             "none",
             "Files whose keys are put here: lists append, maps merge, a key said twice is an error.",
             {}});
    }
    const Node defaults = Codec<T>::write(T{});
    std::apply([&](const auto&... fields) { (section.rows.push_back(describe(fields, defaults)), ...); },
               Schema<T>::fields);
    sections.push_back(std::move(section));
    std::apply([&](const auto&... fields) { (collect_below(path, fields, sections), ...); }, Schema<T>::fields);
}

std::vector<Section> all_sections()
{
    std::vector<Section> sections;
    collect<Model>("", sections);
    return sections;
}

std::string heading(const Section& section) { return section.path.empty() ? "The file" : "`" + section.path + "`"; }

/// A vertical bar would end the cell of the table.
std::string cell(std::string text)
{
    for (std::size_t at = text.find('|'); at != std::string::npos; at = text.find('|', at + 2)) {
        text.insert(at, "\\");
    }
    return text;
}

} // namespace

std::string sections_with_key(std::string_view key)
{
    std::string text;
    int count = 0;
    for (const Section& section : all_sections()) {
        const bool known =
            std::any_of(section.rows.begin(), section.rows.end(), [&](const Row& row) { return row.name == key; });
        if (known && ++count <= 3) {
            text += (text.empty() ? "" : ", ") +
                    (section.path.empty() ? std::string{"the top of the file"} : "`" + section.path + "`");
        }
    }
    return text;
}

std::string reference()
{
    std::string out;
    for (const Section& section : all_sections()) {
        out += "### " + heading(section) + "\n\n" + std::string{section.text} + "\n";
        if (!section.one_of.empty()) {
            out += "Exactly one of ";
            for (const std::string_view key : section.one_of) {
                out += (key == section.one_of.front() ? "`" : ", `") + std::string{key} + "`";
            }
            out += ".\n";
        }
        out += '\n';
        if (section.rows.empty()) {
            continue;
        }
        out += "| key | value | default | meaning |\n|---|---|---|---|\n";
        for (const Row& row : section.rows) {
            out += "| `" + row.name + "` | " + cell(row.kind) + " | " + row.preset + " | " +
                   cell(row.text + row.words) + " |\n";
        }
        out += '\n';
    }
    return out;
}

} // namespace sluice::config
