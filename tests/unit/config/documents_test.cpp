// The default file, the examples and the reference page: what users read must be what the program does.
#include "certificates.hpp"
#include "support.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace sluice::config::testing {
namespace {

namespace fs = std::filesystem;

const fs::path root = SLUICE_SOURCE_DIR;

std::string contents(const fs::path& path)
{
    std::ostringstream text;
    text << std::ifstream{path}.rdbuf();
    return text.str();
}

std::vector<fs::path> example_files()
{
    std::vector<fs::path> files{root / "config/sluice.yaml"};
    for (const auto& entry : fs::directory_iterator{root / "config/examples"}) {
        if (entry.path().extension() == ".yaml") {
            files.push_back(entry.path());
        }
    }
    std::sort(files.begin(), files.end());
    return files;
}

/// The disk, with every certificate and key that an example names made up.
class ExampleFiles final : public Files {
public:
    Expected<FileText, FileError> read(const std::string& path, std::size_t limit) const override
    {
        const std::string extension = fs::path{path}.extension();
        if (extension == ".crt") {
            return FileText{pair_.certificate, 0644};
        }
        if (extension == ".key") {
            return FileText{path.ends_with("tickets.key") ? std::string(80, 'k') : pair_.key, 0600};
        }
        return disk_.read(path, limit);
    }
    std::vector<std::string> glob(const std::string& pattern) const override { return disk_.glob(pattern); }
    std::string canonical(const std::string& path) const override { return disk_.canonical(path); }

private:
    DiskFiles disk_;
    KeyPair pair_ = make_certificate(std::chrono::system_clock::now() - std::chrono::hours{1},
                                     std::chrono::system_clock::now() + std::chrono::hours{24 * 90});
};

class Example : public ::testing::TestWithParam<fs::path> {};

TEST_P(Example, OnAMachineThatHasWhatItNames_IsValidWithoutAWarning)
{
    const ExampleFiles files;
    FakeHost host;
    host.interfaces = {"eth1", "eth2", "veth1"};
    Options options;
    options.files = &files;
    options.host = &host;
    options.host_errors = true;
    options.strict = true;
    options.now = std::chrono::system_clock::now();
    const Loaded loaded = load(GetParam(), options);
    EXPECT_EQ(summary(loaded.diagnostics), "");
    ASSERT_TRUE(loaded.model);

    MemoryFiles printed;
    printed.add("main.yaml", print(*loaded.model));
    Options plain;
    plain.files = &printed;
    const Loaded again = load("main.yaml", plain);
    ASSERT_TRUE(again.model) << summary(again.diagnostics) << print(*loaded.model);
    EXPECT_EQ(*again.model, *loaded.model);
}

TEST_P(Example, OnAnyMachine_HasNoError)
{
    FakeHost host; // that has nothing of what a file could name
    host.allowed.clear();
    host.interfaces.clear();
    host.groups.clear();
    host.folders.clear();
    host.available = 0;
    Options options;
    options.host = &host;
    const Loaded loaded = load(GetParam(), options);
    EXPECT_FALSE(has_errors(loaded.diagnostics)) << summary(loaded.diagnostics);
}

std::string example_name(const ::testing::TestParamInfo<fs::path>& info)
{
    std::string name = info.param.stem();
    std::replace_if(
        name.begin(), name.end(), [](char c) { return c == '-' || c == '.'; }, '_');
    return name;
}

INSTANTIATE_TEST_SUITE_P(Files, Example, ::testing::ValuesIn(example_files()), example_name);

constexpr std::string_view begin_mark = "<!-- reference: begin -->\n";
constexpr std::string_view end_mark = "<!-- reference: end -->\n";

TEST(ReferencePage, IsTheFieldTable)
{
    const fs::path path = root / "docs/configuration.md";
    const std::string page = contents(path);
    const std::size_t begin = page.find(begin_mark);
    const std::size_t end = page.find(end_mark);
    ASSERT_NE(begin, std::string::npos);
    ASSERT_NE(end, std::string::npos);
    const std::size_t start = begin + begin_mark.size();
    if (std::getenv("SLUICE_REWRITE_REFERENCE") != nullptr) {
        std::ofstream{path} << page.substr(0, start) << reference() << page.substr(end);
        return;
    }
    EXPECT_EQ(page.substr(start, end - start), reference()) << "run this test once with SLUICE_REWRITE_REFERENCE=1";
}

TEST(ReferencePage, NamesEveryMapOnce)
{
    const std::string text = reference();
    for (const char* heading :
         {"### The file\n", "### `cpu`\n", "### `ports[].device`\n", "### `vrrp[].track[]`\n",
          "### `services[].proxy.tls.certificates[]`\n", "### `services[].proxy.routes[].headers.request`\n",
          "### `services[].forward.timeouts`\n", "### `pools[].health.udp`\n", "### `defaults.health`\n",
          "### `log.access`\n"}) {
        const std::size_t first = text.find(heading);
        EXPECT_NE(first, std::string::npos) << heading;
        EXPECT_EQ(text.find(heading, first + 1), std::string::npos) << heading;
    }
}

} // namespace
} // namespace sluice::config::testing
