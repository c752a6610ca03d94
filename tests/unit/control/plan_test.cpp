#include "model_of.hpp"

#include <control/plan.hpp>

#include <gmock/gmock.h>

namespace sluice::control {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr const char* base = R"(
node: n
ports: [{name: front, device: {interface: eth1}, addresses: [192.0.2.11/24]}]
services:
  - {name: site, listen: 192.0.2.11:80/tcp, proxy: {routes: [{pool: web}]}}
pools:
  - {name: web, servers: [{address: 192.0.2.21:80}, {address: 192.0.2.22:80}]}
)";

TEST(Plan, SameFile_ChangesNothing) { EXPECT_THAT(plan_changes(model_of(base), model_of(base)), IsEmpty()); }

TEST(Plan, CommentsAndLineBreaks_ChangeNothing)
{
    EXPECT_THAT(plan_changes(model_of(base), model_of(std::string{"# hello\n\n"} + base)), IsEmpty());
}

TEST(Plan, PoolAdded_IsNamed)
{
    const auto changes = plan_changes(
        model_of(base), model_of(std::string{base} + "  - {name: spare, servers: [{address: 192.0.2.23:80}]}\n"));
    ASSERT_EQ(changes.size(), 1U);
    EXPECT_EQ(changes[0].kind, ChangeKind::added);
    EXPECT_EQ(changes[0].what, "pool");
    EXPECT_EQ(changes[0].name, "spare");
}

TEST(Plan, PoolRemoved_IsNamed)
{
    const auto changes = plan_changes(
        model_of(std::string{base} + "  - {name: spare, servers: [{address: 192.0.2.23:80}]}\n"), model_of(base));
    ASSERT_EQ(changes.size(), 1U);
    EXPECT_EQ(changes[0].kind, ChangeKind::removed);
    EXPECT_EQ(changes[0].name, "spare");
}

TEST(Plan, ServerRemoved_ShowsItsLines)
{
    const auto changes = plan_changes(model_of(base), model_of(replaced(base, ", {address: 192.0.2.22:80}", "")));
    ASSERT_EQ(changes.size(), 1U);
    EXPECT_EQ(changes[0].kind, ChangeKind::changed);
    EXPECT_EQ(changes[0].name, "web");
    EXPECT_THAT(changes[0].details,
                testing::Contains(testing::AllOf(testing::StartsWith("- "), testing::HasSubstr("192.0.2.22:80"))));
    EXPECT_THAT(changes[0].details, testing::Not(testing::Contains(testing::HasSubstr("192.0.2.21:80"))));
}

TEST(Plan, BlockChanged_IsNamed)
{
    const auto changes = plan_changes(model_of(base), model_of(std::string{base} + "log: {level: debug}\n"));
    ASSERT_EQ(changes.size(), 1U);
    EXPECT_EQ(changes[0].what, "log");
}

TEST(DiffLines, EqualTexts_AreEmpty) { EXPECT_THAT(diff_lines("a\nb\n", "a\nb\n"), IsEmpty()); }

TEST(DiffLines, LineInTheMiddle_IsReplacedAlone)
{
    EXPECT_THAT(diff_lines("a\nb\nc\n", "a\nx\nc\n"), ElementsAre("- b", "+ x"));
}

TEST(DiffLines, LineThatMoves_LeavesAndComes)
{
    EXPECT_THAT(diff_lines("a\nb\nc\n", "b\nc\na\n"), ElementsAre("- a", "+ a"));
}

TEST(DiffLines, EmptyAgainstText_IsAllNew) { EXPECT_THAT(diff_lines("", "a\nb\n"), ElementsAre("+ a", "+ b")); }

TEST(DiffLines, TextsTooLongToCompare_AreReplacedWhole)
{
    std::string from;
    std::string to;
    for (int line = 0; line < 3000; ++line) {
        from += "a" + std::to_string(line) + "\n";
        to += "b" + std::to_string(line) + "\n";
    }
    EXPECT_EQ(diff_lines(from, to).size(), 6000U);
}

} // namespace
} // namespace sluice::control
