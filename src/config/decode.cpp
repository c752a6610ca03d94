#include <config/codec.hpp>
#include <config/decode.hpp>
#include <config/schema_pool.hpp>

namespace sluice::config {

void Codec<std::vector<HeaderField>>::read(Reading& reading, const Place& place, const Rules&,
                                           std::vector<HeaderField>& out)
{
    out.clear();
    if (!expect_map(reading, place, "a map of header names to values")) {
        return;
    }
    for (const Entry& entry : place.node.entries) {
        HeaderField field;
        field.where = reading.where(entry.mark);
        Node key = text_node(entry.key);
        key.mark = entry.mark;
        store(reading, {key, entry.mark}, field.name, parse_text(entry.key, Text::header_name));
        const Place value{entry.value, entry.mark};
        if (expect_scalar(reading, value, "a header value")) {
            store(reading, value, field.value, parse_text(entry.value.text, Text::header_value));
        }
        out.push_back(std::move(field));
    }
}

Node Codec<std::vector<HeaderField>>::write(const std::vector<HeaderField>& values)
{
    Node node;
    node.kind = Node::Kind::map;
    for (const HeaderField& field : values) {
        node.entries.push_back({field.name, {}, text_node(field.value)});
    }
    return node;
}

Model decode(Reading& reading, const Node& tree)
{
    Model model;
    // `defaults` stands before services and pools in the table, so it is read by the time they ask for it.
    reading.defaults = &model.defaults;
    Codec<Model>::read(reading, {tree, {tree.mark.file, 0, 0}}, {}, model);
    reading.defaults = nullptr;
    for (VrrpInstance& instance : model.vrrp) {
        if (instance.group.empty()) {
            instance.group = instance.name.value;
        }
    }
    return model;
}

Node encode(const Model& model) { return Codec<Model>::write(model); }

} // namespace sluice::config
