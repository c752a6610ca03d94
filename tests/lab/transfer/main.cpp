// Streams of bytes between TCP stacks, one end of them:
//
//     lab_transfer kernel --address 10.0.0.2 --port 7000                                        serves until SIGTERM
//     lab_transfer kernel --address 10.0.0.1 --peer 10.0.0.2 --port 7000 1460:0 0:65536         two transfers, up:down
//     lab_transfer ours   --address 10.0.0.1 --neighbour 10.0.0.2=02:…:01 …                     our stack
//
// Ours takes an interface that the kernel has no address on. Prints a line of JSON for each transfer; what passes over
// the wire is in content.hpp.
#include "transfer/content.hpp"

#include <CLI/CLI.hpp>

#include <charconv>
#include <cstdio>

namespace {

using namespace sluice::transfer;

std::uint64_t number(std::string_view text)
{
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size()) {
        throw std::invalid_argument{std::string{text} + " is not a number"};
    }
    return value;
}

Job parse_job(std::string_view text)
{
    const std::size_t colon = std::min(text.find(':'), text.size());
    return {number(text.substr(0, colon)), number(text.substr(std::min(colon + 1, text.size())))};
}

} // namespace

int main(int argc, char** argv)
{
    CLI::App app{"Streams of bytes between TCP stacks"};
    Settings settings;
    std::string stack;
    std::vector<std::string> jobs;
    app.add_option("stack", stack)->required()->check(CLI::IsMember({"ours", "kernel"}));
    app.add_option("jobs", jobs, "UP:DOWN bytes; none: serve");
    app.add_option("--address", settings.address)->required();
    app.add_option("--port", settings.port)->required();
    app.add_option("--peer", settings.peer);
    app.add_option("--interface", settings.interface);
    app.add_option("--neighbour", settings.neighbours, "ADDRESS=MAC, of each at the other end")->take_all();
    app.add_option("--seed", settings.seed);
    app.add_option("--seconds", settings.seconds, "end the way up then");
    app.add_flag("--together", settings.together, "all transfers at once");
    CLI11_PARSE(app, argc, argv);
    try {
        for (const std::string& text : jobs) {
            settings.jobs.push_back(parse_job(text));
        }
        return stack == "ours" ? run_ours(settings) : run_kernel(settings);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "lab_transfer: %s\n", error.what());
        return 1;
    }
}
