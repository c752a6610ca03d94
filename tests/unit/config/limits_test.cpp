// Hostile and huge texts: bounded work, bounded findings. And texts that only look odd.
#include "support.hpp"

#include <sluice/config/json.hpp>

#include <boost/json/serialize.hpp>
#include <gtest/gtest.h>

#include <chrono>
#include <fstream>
#include <sys/stat.h>
#include <unistd.h>

namespace sluice::config::testing {
namespace {

std::size_t errors_in(const Loaded& loaded)
{
    return static_cast<std::size_t>(
        std::count_if(loaded.diagnostics.begin(), loaded.diagnostics.end(),
                      [](const Diagnostic& item) { return item.severity == Severity::error; }));
}

TEST(Limits, MapOfSixtyThousandUnknownKeys_IsReadInOnePassAndCutShort)
{
    std::string text = one_port;
    for (int number = 0; number < 60'000; ++number) {
        text += "key" + std::to_string(number) + ": 1\n";
    }
    const auto begin = std::chrono::steady_clock::now();
    const Loaded loaded = load_text(text);
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds{20}) << "a quadratic reader needs minutes";
    EXPECT_EQ(errors_in(loaded), 201U);
    EXPECT_EQ(loaded.diagnostics.back().message, "59800 further findings are not shown");
}

TEST(Limits, BillionLaughs_EndAtTheAliases)
{
    std::string text = one_port + "a: &a [x, x]\n";
    for (char name = 'b'; name < 'z'; ++name) {
        const std::string before{static_cast<char>(name - 1)};
        text += std::string{name} + ": &" + name + " [*" + before + ", *" + before + ", *" + before + "]\n";
    }
    const Loaded loaded = load_text(text);
    EXPECT_FALSE(loaded.model);
    EXPECT_LE(loaded.diagnostics.size(), 201U);
}

TEST(Limits, FileBeyondTheLimit_IsRefused)
{
    const Loaded loaded = load_text(one_port + "#" + std::string(5U << 20U, 'x') + "\n");
    EXPECT_EQ(summary(loaded.diagnostics), "0:0: error: `main.yaml` cannot be read: larger than 4096 KiB\n");
}

TEST(Limits, TooManyValues_AreRefused)
{
    std::string text = "node: [";
    for (int number = 0; number < 500'001; ++number) {
        text += "1,";
    }
    const Loaded loaded = load_text(text + "1]\n");
    ASSERT_EQ(loaded.diagnostics.size(), 1U);
    EXPECT_EQ(loaded.diagnostics[0].message, "more than 500000 values in one file");
}

TEST(Limits, DeepNesting_IsRefusedBeforeTheParserGivesUp)
{
    const Loaded loaded = load_text("node: " + std::string(100'000, '[') + "\n");
    ASSERT_FALSE(loaded.diagnostics.empty());
    EXPECT_FALSE(loaded.model);
}

TEST(Text, ByteOrderMarkAndCarriageReturns_AreAcceptedAndColumnsStayRight)
{
    const Loaded loaded =
        load_text("\xef\xbb\xbfports: [{name: p, device: {interface: eth1}}]\r\nnode: lb1\r\nlogg: 1\r\n");
    EXPECT_EQ(errors_in(loaded), 1U);
    EXPECT_EQ(loaded.diagnostics[0].where.line, 3U);
    EXPECT_EQ(loaded.diagnostics[0].where.column, 1U);
    EXPECT_EQ(loaded.diagnostics[0].source_line, "logg: 1");
    const Loaded first_line = load_text("\xef\xbb\xbflogg: 1\r\n" + one_port);
    ASSERT_FALSE(first_line.diagnostics.empty());
    EXPECT_EQ(first_line.diagnostics[0].where.column, 1U);
}

TEST(Text, BlockText_KeepsItsLines)
{
    const Loaded loaded = load_text(one_port + "services:\n"
                                               "  - name: s\n"
                                               "    listen: 192.0.2.11:80/tcp\n"
                                               "    proxy:\n"
                                               "      routes:\n"
                                               "        - respond:\n"
                                               "            body: |\n"
                                               "              it's \"down\n"
                                               "              \tback: soon\n"
                                               "            status: 503\n");
    ASSERT_TRUE(loaded.model) << summary(loaded.diagnostics);
    EXPECT_EQ(loaded.model->services.at(0).proxy->routes.at(0).respond->body, "it's \"down\n\tback: soon\n");
}

TEST(Text, AddressesThatYamlTakesAsTheyAre_NeedNoQuotes)
{
    const Loaded loaded = load_text("ports: [{name: p, device: {interface: eth1}, addresses: [fe80::1/64, "
                                    "2001:db8::1/64], routes: [{to: ::/0, via: fe80::2}]}]\n");
    EXPECT_EQ(summary(loaded.diagnostics), "");
}

TEST(Text, MarkOfTheFirstDocument_IsAllowed) { EXPECT_EQ(summary(load_text("---\n" + one_port).diagnostics), ""); }

TEST(Diagnostics, Json_HasEveryPartOfAFinding)
{
    const Loaded loaded = load_text(one_port + "logg: 1\n");
    EXPECT_EQ(
        boost::json::serialize(to_json(loaded.diagnostics)),
        R"([{"severity":"error","file":"main.yaml","line":2,"column":1,"message":"unknown key `logg`",)"
        R"("hint":"did you mean `log`? Known here: version, node, cpu, memory, ports, vrrp, defaults, services, pools, lists, stop, control, admin, log, include"}])");
}

TEST(Diagnostics, Formatted_PointAtTheLineWithACaret)
{
    const Loaded loaded = load_text(one_port + "log: {level: loud}\n");
    ASSERT_EQ(loaded.diagnostics.size(), 1U);
    EXPECT_EQ(format(loaded.diagnostics[0]), "main.yaml:2:14: error: `loud` is not known here\n"
                                             "    log: {level: loud}\n"
                                             "                 ^\n"
                                             "    hint: Known here: trace, debug, info, warn, error\n");
}

TEST(Diagnostics, ControlCharactersOfTheFile_DoNotReachTheTerminal)
{
    const Loaded loaded = load_text(one_port + "node: \"\\e[2J\"\n");
    ASSERT_EQ(loaded.diagnostics.size(), 1U);
    EXPECT_EQ(loaded.diagnostics[0].message, "`\\x1b[2J` is not a valid name");
}

/// A folder that goes away with the test.
struct Folder {
    std::string path = "/tmp/sluice-config-test-XXXXXX";
    std::vector<std::string> names;
    Folder() { EXPECT_NE(::mkdtemp(path.data()), nullptr); }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    ~Folder()
    {
        for (const std::string& name : names) {
            ::unlink((path + "/" + name).c_str());
        }
        ::rmdir(path.c_str());
    }
    std::string add(const std::string& name, const std::string& text, mode_t mode)
    {
        names.push_back(name);
        std::ofstream{path + "/" + name} << text;
        ::chmod((path + "/" + name).c_str(), mode);
        return path + "/" + name;
    }
};

TEST(Disk, FilesOfAFolder_AreReadWithTheirModes)
{
    Folder folder;
    const std::string file = folder.add("main.yaml", one_port + "include: [\"b*.yaml\"]\n", 0644);
    folder.add("b2.yaml", "node: b2\n", 0600);
    const Loaded loaded = load(file, {});
    ASSERT_TRUE(loaded.model) << summary(loaded.diagnostics);
    EXPECT_EQ(loaded.model->node, "b2");
    EXPECT_EQ(DiskFiles{}.read(folder.path + "/b2.yaml", 100)->mode, 0600U);
    EXPECT_EQ(DiskFiles{}.read(folder.path, 100).error().message, "not a regular file");
    EXPECT_TRUE(DiskFiles{}.read(folder.path + "/none", 100).error().missing);
}

TEST(Disk, CycleThroughALink_IsSeen)
{
    Folder folder;
    const std::string file = folder.add("main.yaml", one_port + "include: [link.yaml]\n", 0644);
    ASSERT_EQ(::symlink("main.yaml", (folder.path + "/link.yaml").c_str()), 0);
    folder.names.push_back("link.yaml");
    const Loaded loaded = load(file, {});
    ASSERT_EQ(loaded.diagnostics.size(), 1U);
    EXPECT_NE(loaded.diagnostics[0].message.find("includes itself"), std::string::npos);
}

} // namespace
} // namespace sluice::config::testing
