#include "check_command.hpp"

#include "configuration_host.hpp"

#include <sluice/config/json.hpp>

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/chrono.h>

#include <cstdio>
#include <ctime>

namespace sluice::app {

ExitCode check(const CheckOptions& options)
{
    const SystemHostProbe probe{""};
    const ConfigurationHost host{probe};
    config::Options load_options;
    load_options.host = &host;
    load_options.host_errors = options.host;
    load_options.strict = options.strict;
    load_options.now = std::chrono::system_clock::now();
    const config::Loaded loaded = config::load(options.file, load_options);
    if (options.json) {
        boost::json::object answer;
        answer["schema"] = 1;
        answer["node"] = !loaded.model ? "" : loaded.model->node.empty() ? host.host_name() : loaded.model->node;
        answer["time"] = fmt::format("{:%FT%T}Z", fmt::gmtime(std::time(nullptr)));
        answer["file"] = options.file;
        answer["valid"] = loaded.model.has_value();
        answer["diagnostics"] = config::to_json(loaded.diagnostics);
        if (options.print && loaded.model) {
            answer["printed"] = config::print(*loaded.model);
        }
        std::printf("%s\n", boost::json::serialize(answer).c_str());
    } else {
        for (const Diagnostic& diagnostic : loaded.diagnostics) {
            std::fputs(format(diagnostic).c_str(), stderr);
        }
    }
    if (!loaded.model) {
        return ExitCode::file_invalid;
    }
    if (options.json) {
        return ExitCode::success;
    }
    if (options.print) {
        std::fputs(config::print(*loaded.model).c_str(), stdout);
    } else {
        std::printf("%s: valid\n", options.file.c_str());
    }
    return ExitCode::success;
}

} // namespace sluice::app
