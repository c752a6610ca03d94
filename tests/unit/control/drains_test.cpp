#include <sluice/control/drains.hpp>

#include <gmock/gmock.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace sluice::control {
namespace {

using namespace std::chrono_literals;

const wire::Endpoint one{wire::IpAddress::v4(0xc0000215), 80};
const wire::Endpoint two{wire::IpAddress::v4(0xc0000216), 80};

class DrainsTest : public testing::Test {
protected:
    DrainsTest()
    {
        char name[] = "/tmp/sluice-drains-XXXXXX";
        folder_ = mkdtemp(name);
        registry_.server_registry = &servers_;
        registry_.server("web", "", one, false);
        registry_.server("web", "", two, false);
        for (auto& [key, entry] : registry_.servers) {
            entry.listed = true;
        }
        EXPECT_FALSE(drains_.load(path()));
    }
    ~DrainsTest() override { std::filesystem::remove_all(folder_); }

    [[nodiscard]] std::string path() const { return folder_ + "/drains"; }
    [[nodiscard]] bool drained(const wire::Endpoint& server) const
    {
        return registry_.servers.at({"web", server}).server->drained();
    }
    DrainReport report()
    {
        return [this](const Drain& drain, bool now, std::string_view why) {
            reports_.push_back((now ? "+" : "-") + drain.server.to_string() + " " + std::string{why});
        };
    }
    void drain(const wire::Endpoint& server, std::optional<WallTime> until = {})
    {
        drains_.set({"web", server, start_, until, "root", "why not"}, registry_, report());
    }

    const WallTime start_{1000h};
    std::string folder_;
    l4::ServerRegistry servers_{16};
    Registry registry_;
    Drains drains_;
    std::vector<std::string> reports_;
};

TEST_F(DrainsTest, Server_Drained_TakesNothingNew)
{
    drain(one);
    EXPECT_TRUE(drained(one));
    EXPECT_FALSE(drained(two));
    EXPECT_THAT(reports_, testing::ElementsAre("+192.0.2.21:80 why not"));
}

TEST_F(DrainsTest, DrainedServer_Undrained_TakesNewWorkAgain)
{
    drain(one);
    EXPECT_TRUE(drains_.clear("web", one, registry_, report()));
    EXPECT_FALSE(drained(one));
    EXPECT_FALSE(drains_.clear("web", one, registry_, report()));
}

TEST_F(DrainsTest, Drain_ItsTimeIsOver_Ends)
{
    drain(one, start_ + 10s);
    drain(two);
    drains_.expire(start_ + 9s, registry_, report());
    EXPECT_TRUE(drained(one));
    drains_.expire(start_ + 10s, registry_, report());
    EXPECT_FALSE(drained(one));
    EXPECT_TRUE(drained(two));
    EXPECT_EQ(reports_.back(), "-192.0.2.21:80 its time is over");
}

TEST_F(DrainsTest, Drain_ServerLeavesTheFile_Ends)
{
    drain(one);
    registry_.servers.at({"web", one}).listed = false;
    drains_.expire(start_, registry_, report());
    EXPECT_THAT(drains_.all(), testing::IsEmpty());
    EXPECT_FALSE(drained(one));
}

TEST_F(DrainsTest, Drains_ProcessRestarts_AreKeptWithWhoWhenAndWhy)
{
    drain(one, start_ + 1h);
    drain(two);
    Drains again;
    ASSERT_FALSE(again.load(path()));
    registry_.servers.at({"web", one}).server->set_drained(false);
    again.apply(registry_);
    EXPECT_TRUE(drained(one));
    const Drain* kept = again.find("web", one);
    ASSERT_NE(kept, nullptr);
    EXPECT_EQ(kept->who, "root");
    EXPECT_EQ(kept->reason, "why not");
    EXPECT_EQ(kept->since, start_);
    EXPECT_EQ(kept->until, start_ + 1h);
    EXPECT_EQ(again.find("web", two)->until, std::nullopt);
}

TEST_F(DrainsTest, StateFile_IsDamaged_SaysSoAndStartsWithout)
{
    for (const char* text : {"{", "[]", R"({"drains":[{"pool":1}]})", R"({"drains":[{"pool":"p","address":"x"}]})"}) {
        std::ofstream{path()} << text;
        Drains again;
        EXPECT_TRUE(again.load(path())) << text;
    }
}

TEST_F(DrainsTest, StateFile_CannotBeWritten_DrainsAllTheSameAndSaysSo)
{
    std::filesystem::remove_all(folder_);
    drain(one);
    EXPECT_TRUE(drained(one));
    EXPECT_THAT(drains_.save_error(), testing::HasSubstr("drains"));
}

} // namespace
} // namespace sluice::control
