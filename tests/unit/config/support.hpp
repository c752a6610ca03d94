// Builders for configuration tests: texts in memory, a described machine, one line per finding.
#pragma once

#include <sluice/config/files.hpp>
#include <sluice/config/host.hpp>
#include <sluice/config/load.hpp>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::config::testing {

/// A machine that has what a test says.
struct FakeHost final : HostFacts {
    std::vector<std::uint32_t> allowed{0, 1};
    std::vector<std::string> interfaces{"eth1"};
    std::vector<std::string> addresses_of_kernel;
    std::vector<std::string> groups{"adm"};
    std::vector<std::string> folders{"/var/log/sluice"};
    std::vector<std::string> devices;
    std::optional<std::uint64_t> available = 4ULL << 30U;
    std::uint64_t hugepages = 0;

    std::string host_name() const override { return "testhost"; }
    std::vector<std::uint32_t> cores() const override { return allowed; }
    bool has_interface(const std::string& name) const override { return contains(interfaces, name); }
    std::vector<std::string> kernel_addresses(const std::string&) const override { return addresses_of_kernel; }
    bool has_pci_device(const std::string& address) const override { return contains(devices, address); }
    std::optional<std::uint64_t> available_memory() const override { return available; }
    std::uint64_t free_hugepages() const override { return hugepages; }
    bool has_group(const std::string& name) const override { return contains(groups, name); }
    bool has_folder(const std::string& path) const override { return contains(folders, path); }

private:
    static bool contains(const std::vector<std::string>& list, const std::string& item)
    {
        return std::find(list.begin(), list.end(), item) != list.end();
    }
};

/// "LINE:COLUMN: severity: message [hint]", one per diagnostic.
inline std::string summary(const Diagnostics& diagnostics)
{
    static constexpr const char* names[] = {"error", "warning", "note"};
    std::string text;
    for (const Diagnostic& item : diagnostics) {
        text += (item.where.file == "main.yaml" ? "" : item.where.file + ":") + std::to_string(item.where.line) + ":" +
                std::to_string(item.where.column) + ": " + names[static_cast<int>(item.severity)] + ": " +
                item.message + (item.hint.empty() ? "" : " [" + item.hint + "]") + "\n";
    }
    return text;
}

inline Loaded load_text(std::string text, Options options = {})
{
    MemoryFiles files;
    files.add("main.yaml", std::move(text));
    options.files = &files;
    return load("main.yaml", options);
}

/// A port that the texts of most tests need.
inline const std::string one_port =
    "ports: [{name: front, device: {interface: eth1}, addresses: [192.0.2.11/24, \"2001:db8::11/64\"]}]\n";

} // namespace sluice::config::testing
