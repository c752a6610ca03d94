#include <config/decode.hpp>
#include <config/include.hpp>
#include <config/validate.hpp>
#include <sluice/config/load.hpp>

namespace sluice::config {

namespace {

void validate(const Validation& check)
{
    validate_node(check);
    validate_ports(check);
    validate_vrrp(check);
    validate_services(check);
    validate_routes(check);
    validate_forwarding(check);
    validate_pools(check);
    validate_secrets(check);
    if (check.options.host != nullptr) {
        validate_host(check);
    }
}

} // namespace

Loaded load(const std::string& path, const Options& options)
{
    const DiskFiles disk;
    const Files& files = options.files != nullptr ? *options.files : disk;
    Sources sources;
    Report report{sources};
    Loaded loaded;

    Includer includer{files, sources, report};
    if (const auto tree = includer.read(path)) {
        Reading reading{report};
        loaded.model = decode(reading, *tree);
        if (loaded.model->node.empty() && options.host != nullptr) {
            loaded.model->node = options.host->host_name();
        }
        validate({*loaded.model, report, files, options, reading.unclean});
    }
    for (std::uint32_t index = 0; index < sources.size(); ++index) {
        loaded.files.push_back(sources[index].name);
    }
    loaded.diagnostics = report.take(options.strict);
    if (has_errors(loaded.diagnostics)) {
        loaded.model.reset();
    }
    return loaded;
}

} // namespace sluice::config
