// Any bytes as a configuration file: the reader, every check, and the way back. What is accepted must survive being
// printed, and findings must stay within their bound.
#include <sluice/config/files.hpp>
#include <sluice/config/load.hpp>

#include <cstdint>
#include <cstdlib>
#include <string>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    using namespace sluice::config;
    constexpr std::size_t longest = 1U << 16U;
    constexpr std::size_t most_findings = 201;
    if (size > longest) {
        return 0;
    }
    // What stands behind a NUL is a second file, so that includes are reached.
    const std::string text{reinterpret_cast<const char*>(data), size};
    const std::size_t split = text.find('\0');
    MemoryFiles files;
    files.add("main.yaml", text.substr(0, split));
    if (split != std::string::npos) {
        files.add("b.yaml", text.substr(split + 1));
    }
    Options options;
    options.files = &files;
    const Loaded loaded = load("main.yaml", options);
    std::size_t findings = 0;
    for (const sluice::Diagnostic& item : loaded.diagnostics) {
        findings += item.severity == sluice::Severity::note ? 0 : 1;
        if (sluice::format(item).empty()) {
            std::abort();
        }
    }
    if (findings > most_findings || loaded.model.has_value() == sluice::has_errors(loaded.diagnostics)) {
        std::abort();
    }
    if (loaded.model) {
        MemoryFiles printed;
        printed.add("main.yaml", print(*loaded.model));
        options.files = &printed;
        const Loaded again = load("main.yaml", options);
        if (!again.model || !(*again.model == *loaded.model)) {
            std::abort();
        }
    }
    return 0;
}
