#include <sluice/config/json.hpp>

#include <boost/json/object.hpp>

namespace sluice::config {

boost::json::array to_json(const Diagnostics& diagnostics)
{
    static constexpr const char* severities[] = {"error", "warning", "note"};
    boost::json::array items;
    for (const Diagnostic& diagnostic : diagnostics) {
        boost::json::object item;
        item["severity"] = severities[static_cast<int>(diagnostic.severity)];
        item["file"] = diagnostic.where.file;
        item["line"] = diagnostic.where.line;
        item["column"] = diagnostic.where.column;
        item["message"] = diagnostic.message;
        item["hint"] = diagnostic.hint;
        items.push_back(std::move(item));
    }
    return items;
}

} // namespace sluice::config
