// Includes: several files, one tree.
#include "support.hpp"

#include <gtest/gtest.h>

namespace sluice::config::testing {
namespace {

struct Texts {
    MemoryFiles files;
    Texts& add(const std::string& name, const std::string& text)
    {
        files.add(name, text);
        return *this;
    }
    Loaded load_main() const
    {
        Options options;
        options.files = &files;
        return load("etc/main.yaml", options);
    }
};

const std::string service =
    "services: [{name: s, listen: 192.0.2.11:80/tcp, proxy: {routes: [{pool: a}, {pool: b}]}}]\n";
const std::string pool_a = "pools: [{name: a, servers: [{address: 192.0.2.20:80}]}]\n";
const std::string pool_b = "pools: [{name: b, servers: [{address: 192.0.2.21:80}]}]\n";

TEST(Include, ListsOfSeveralFiles_Append)
{
    Texts texts;
    texts.add("etc/main.yaml", one_port + "include: [site/*.yaml]\n" + pool_a)
        .add("etc/site/1.yaml", pool_b)
        .add("etc/site/2.yaml", service.substr(0, service.size()));
    const Loaded loaded = texts.load_main();
    // The second route is shadowed: that is said, with the file that it stands in.
    EXPECT_EQ(loaded.files, (std::vector<std::string>{"etc/main.yaml", "etc/site/1.yaml", "etc/site/2.yaml"}));
    ASSERT_TRUE(loaded.model) << summary(loaded.diagnostics);
    ASSERT_EQ(loaded.model->pools.size(), 2U);
    EXPECT_EQ(*loaded.model->pools.at(1).name, "b");
    EXPECT_EQ(loaded.model->pools.at(1).name.where.file, "etc/site/1.yaml");
}

TEST(Include, MapsOfSeveralFiles_MergeKeyByKey)
{
    Texts texts;
    texts.add("etc/main.yaml", one_port + "include: [log.yaml]\nlog: {level: debug}\n")
        .add("etc/log.yaml", "log: {to: stderr, access: {file: a.log}}\n");
    const Loaded loaded = texts.load_main();
    ASSERT_TRUE(loaded.model) << summary(loaded.diagnostics);
    EXPECT_EQ(loaded.model->log.level, LogLevel::debug);
    EXPECT_EQ(loaded.model->log.access->file->path, "etc/a.log")
        << "a relative path starts at the file that contains it";
}

TEST(Include, KeySaidInTwoFiles_IsAnErrorInTheSecondAndANoteInTheFirst)
{
    Texts texts;
    texts.add("etc/main.yaml", one_port + "node: a\ninclude: [b.yaml]\n").add("etc/b.yaml", "node: b\n");
    EXPECT_EQ(summary(texts.load_main().diagnostics), "etc/b.yaml:1:1: error: the key `node` is said twice\n"
                                                      "etc/main.yaml:2:1: note: it is said here first\n");
}

TEST(Include, FileThatIncludesItself_IsAnError)
{
    Texts texts;
    texts.add("etc/main.yaml", one_port + "include: [b.yaml]\n").add("etc/b.yaml", "include: [main.yaml]\n");
    EXPECT_EQ(summary(texts.load_main().diagnostics), "etc/b.yaml:1:11: error: `etc/main.yaml` includes itself\n");
}

TEST(Include, FileIncludedTwice_IsAnError)
{
    Texts texts;
    texts.add("etc/main.yaml", one_port + "include: [b.yaml, b.yaml]\n").add("etc/b.yaml", "node: b\n");
    EXPECT_EQ(summary(texts.load_main().diagnostics), "etc/main.yaml:2:19: error: `etc/b.yaml` is included twice\n");
}

TEST(Include, MissingFile_IsAnErrorAtItsName)
{
    Texts texts;
    texts.add("etc/main.yaml", one_port + "include: [b.yaml]\n");
    EXPECT_EQ(summary(texts.load_main().diagnostics),
              "etc/main.yaml:2:11: error: `etc/b.yaml` cannot be read: No such file or directory\n");
}

TEST(Include, PatternThatMatchesNothing_IsAWarning)
{
    Texts texts;
    texts.add("etc/main.yaml", one_port + "include: [site/*.yaml]\n");
    EXPECT_EQ(summary(texts.load_main().diagnostics),
              "etc/main.yaml:2:11: warning: `etc/site/*.yaml` matches no file\n");
}

TEST(Include, ChainOfFiles_EndsAtTheLimit)
{
    Texts texts;
    texts.add("etc/main.yaml", one_port + "include: [1.yaml]\n");
    for (int number = 1; number < 20; ++number) {
        texts.add("etc/" + std::to_string(number) + ".yaml", "include: [" + std::to_string(number + 1) + ".yaml]\n");
    }
    EXPECT_EQ(summary(texts.load_main().diagnostics),
              "etc/7.yaml:1:11: error: too many includes [at most 256 files, 8 levels deep]\n");
}

TEST(Include, EmptyFile_SaysNothing)
{
    Texts texts;
    texts.add("etc/main.yaml", one_port + "include: [b.yaml]\n").add("etc/b.yaml", "# later\n");
    EXPECT_EQ(summary(texts.load_main().diagnostics), "");
}

TEST(Include, FindingsOfSeveralFiles_ComeInReadingOrder)
{
    Texts texts;
    texts.add("etc/main.yaml", one_port + "include: [b.yaml]\nlogg: {}\n").add("etc/b.yaml", "x: 1\n");
    const Loaded loaded = texts.load_main();
    ASSERT_EQ(loaded.diagnostics.size(), 2U);
    EXPECT_EQ(loaded.diagnostics[0].where.file, "etc/main.yaml");
    EXPECT_EQ(loaded.diagnostics[1].where.file, "etc/b.yaml");
}

TEST(Load, MissingFile_IsAnErrorAboutTheFile)
{
    EXPECT_EQ(summary(Texts{}.load_main().diagnostics),
              "etc/main.yaml:0:0: error: `etc/main.yaml` cannot be read: No such file or directory\n");
}

} // namespace
} // namespace sluice::config::testing
