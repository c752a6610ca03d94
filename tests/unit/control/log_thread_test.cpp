#include <sluice/control/log_thread.hpp>

#include <sluice/proxy/access_record.hpp>

#include <gmock/gmock.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>
#include <sys/resource.h>
#include <thread>

namespace sluice::control {
namespace {

using namespace std::chrono_literals;

class LogThreadTest : public testing::Test {
protected:
    LogThreadTest()
    {
        char name[] = "/tmp/sluice-log-XXXXXX";
        folder_ = mkdtemp(name);
    }
    ~LogThreadTest() override { std::filesystem::remove_all(folder_); }

    [[nodiscard]] std::string path(const std::string& name) const { return folder_ + "/" + name; }
    [[nodiscard]] std::string text(const std::string& name) const
    {
        std::ifstream file{path(name)};
        std::stringstream out;
        out << file.rdbuf();
        return out.str();
    }
    static bool soon(const std::function<bool()>& condition)
    {
        for (int tries = 0; tries < 2000; ++tries) {
            if (condition()) {
                return true;
            }
            std::this_thread::sleep_for(1ms);
        }
        return false;
    }

    FakeClock clock_;
    std::string folder_;
};

TEST_F(LogThreadTest, Lines_Written_AreInTheFileAtTheEndInOrder)
{
    {
        LogThread log{clock_, "n", {path("main"), {}}};
        for (int line = 0; line < 100; ++line) {
            log.write(std::to_string(line) + "\n");
        }
    }
    std::string expected;
    for (int line = 0; line < 100; ++line) {
        expected += std::to_string(line) + "\n";
    }
    EXPECT_EQ(text("main"), expected);
}

TEST_F(LogThreadTest, AccessRecords_RingsTaken_AreLinesOfJson)
{
    telemetry::RecordRing ring{1U << 16U};
    proxy::AccessRecord record;
    record.target = "/hello";
    {
        LogThread log{clock_, "node1", {path("main"), path("access")}};
        log.read({&ring});
        ring.push(proxy::as_bytes(record));
        log.read({});
        ring.push(proxy::as_bytes(record));
    }
    const std::string lines = text("access");
    EXPECT_THAT(lines,
                testing::AllOf(testing::HasSubstr("/hello"), testing::HasSubstr("node1"), testing::EndsWith("}\n")));
    EXPECT_EQ(std::count(lines.begin(), lines.end(), '\n'), 1);
}

TEST_F(LogThreadTest, AccessRecords_NoFile_AreThrownAwaySoThatNoRingFills)
{
    telemetry::RecordRing ring{1U << 16U};
    LogThread log{clock_, "n", {path("main"), {}}};
    log.read({&ring});
    for (int count = 0; count < 100; ++count) {
        ASSERT_TRUE(soon([&] { return ring.push(proxy::as_bytes(proxy::AccessRecord{})); }));
    }
    EXPECT_EQ(log.access_lines_lost(), 0U);
}

TEST_F(LogThreadTest, FileMoved_Reopened_GoesOnInANewOne)
{
    LogThread log{clock_, "n", {path("main"), {}}};
    log.write("before\n");
    ASSERT_TRUE(soon([&] { return text("main") == "before\n"; }));
    std::filesystem::rename(path("main"), path("old"));
    log.reopen();
    log.write("after\n");
    EXPECT_TRUE(soon([&] { return text("main") == "after\n"; }));
    EXPECT_EQ(text("old"), "before\n");
}

TEST_F(LogThreadTest, FileCannotBeOpened_LinesAreLostCountedAndTheReasonKnown)
{
    LogThread log{clock_, "n", {path("no/such/folder"), {}}};
    log.write("lost\n");
    ASSERT_TRUE(soon([&] { return log.lines_lost() == 1; }));
    EXPECT_TRUE(soon([&] { return log.problem().find("no/such/folder") != std::string::npos; }));
    log.set_targets({path("main"), {}});
    log.write("kept\n");
    EXPECT_TRUE(soon([&] { return text("main") == "kept\n" && log.problem().empty(); }));
}

TEST_F(LogThreadTest, DiskFull_NoHalfLineStaysAndTheRestIsCounted)
{
    // A limit on the size of files stops a write in its middle, as a full disk does.
    struct rlimit unlimited {};
    ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &unlimited), 0);
    const auto old_action = std::signal(SIGXFSZ, SIG_IGN);
    const struct rlimit small {
        1000, unlimited.rlim_max
    };
    const std::string line = std::string(299, 'x') + "\n";
    {
        LogThread log{clock_, "n", {path("main"), {}}};
        ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
        for (int count = 0; count < 5; ++count) {
            log.write(line);
        }
        const bool counted = soon([&] { return log.lines_lost() == 2; });
        setrlimit(RLIMIT_FSIZE, &unlimited);
        EXPECT_TRUE(counted) << log.lines_lost();
        EXPECT_EQ(text("main"), line + line + line);
        log.write("room again\n");
        EXPECT_TRUE(soon([&] { return text("main") == line + line + line + "room again\n"; })) << text("main");
    }
    std::signal(SIGXFSZ, old_action);
}

} // namespace
} // namespace sluice::control
