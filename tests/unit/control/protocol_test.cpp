#include <sluice/control/protocol.hpp>
#include <sluice/control/server.hpp>

#include <gmock/gmock.h>

#include <stdexcept>

namespace sluice::control {
namespace {

using namespace std::chrono_literals;

TEST(Request, ObjectWithVerb_IsRead)
{
    const auto request = Request::parse(R"({"verb":"drain","target":"web","for_seconds":7200,"undo":true})");
    ASSERT_TRUE(request);
    EXPECT_EQ(request->verb(), "drain");
    EXPECT_EQ(request->text("target"), "web");
    EXPECT_EQ(request->duration("for"), Duration{2h});
    EXPECT_TRUE(request->flag("undo"));
    EXPECT_FALSE(request->flag("absent"));
    EXPECT_EQ(request->text("absent"), std::nullopt);
    EXPECT_EQ(request->duration("absent"), std::nullopt);
}

TEST(Request, Nonsense_IsRefused)
{
    for (const char* line : {"", "[]", "1", "{", "{}", R"({"verb":1})", R"({"verb":"a"} x)"}) {
        EXPECT_FALSE(Request::parse(line)) << line;
    }
    EXPECT_FALSE(Request::parse(R"({"verb":")" + std::string(request_limit, 'a') + R"("})"));
    EXPECT_FALSE(Request::parse(R"({"verb":"a","x":)" + std::string(100, '[') + std::string(100, ']') + "}"));
}

TEST(Request, ArgumentOfAnotherKind_IsAnErrorThatNamesIt)
{
    const auto request =
        Request::parse(R"({"verb":"x","a":1,"b_seconds":"1","c_seconds":-1,"d_seconds":1e300,"e":"x"})");
    ASSERT_TRUE(request);
    EXPECT_THROW(static_cast<void>(request->text("a")), std::invalid_argument);
    EXPECT_THROW(static_cast<void>(request->duration("b")), std::invalid_argument);
    EXPECT_THROW(static_cast<void>(request->duration("c")), std::invalid_argument);
    EXPECT_THROW(static_cast<void>(request->duration("d")), std::invalid_argument);
    EXPECT_THROW(static_cast<void>(request->flag("e")), std::invalid_argument);
}

TEST(Caller, Root_MayChangeThings)
{
    const auto caller = judge_caller({0, {}}, 0, {});
    ASSERT_TRUE(caller);
    EXPECT_TRUE(caller->may_change);
    EXPECT_EQ(caller->who, "root");
}

TEST(Caller, UserOfTheNode_MayChangeThings)
{
    const auto caller = judge_caller({990, {}}, 990, {});
    ASSERT_TRUE(caller);
    EXPECT_TRUE(caller->may_change);
    EXPECT_EQ(caller->who, "uid 990");
}

TEST(Caller, MemberOfTheGroup_MayLookOnly)
{
    const gid_t groups[] = {1000, 4};
    const auto caller = judge_caller({1000, groups}, 0, 4);
    ASSERT_TRUE(caller);
    EXPECT_FALSE(caller->may_change);
}

TEST(Caller, AnybodyElse_MayNothing)
{
    const gid_t groups[] = {1000, 0};
    EXPECT_FALSE(judge_caller({1000, groups}, 0, 4));
    EXPECT_FALSE(judge_caller({1000, groups}, 0, {}));
}

} // namespace
} // namespace sluice::control
