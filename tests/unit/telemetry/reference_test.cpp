// Holds docs/drop-reasons.md and docs/counters.md to their tables. SLUICE_REWRITE_DOCS=1 writes the pages instead.
#include <sluice/telemetry/counters.hpp>
#include <sluice/telemetry/reference.hpp>

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <set>
#include <string>

namespace sluice::telemetry {
namespace {

void expect_page(const std::string& name, const std::string& expected)
{
    const std::string path = std::string{SLUICE_DOCS_FOLDER} + "/" + name;
    if (std::getenv("SLUICE_REWRITE_DOCS") != nullptr) {
        std::ofstream{path} << expected;
    }
    std::ifstream file{path};
    const std::string page{std::istreambuf_iterator<char>{file}, {}};
    EXPECT_TRUE(page == expected) << path << " differs from its table: run unit_telemetry with SLUICE_REWRITE_DOCS=1";
}

TEST(Reference, drop_reasons_page_says_what_the_table_says) { expect_page("drop-reasons.md", drop_reasons_page()); }

TEST(Reference, counters_page_says_what_the_table_says) { expect_page("counters.md", counters_page()); }

TEST(Tables, names_are_unique_and_texts_are_sentences)
{
    std::set<std::string_view> names;
    for (std::size_t index = 0; index < drop_reason_count; ++index) {
        const DropReasonText& reason = text(static_cast<DropReason>(index));
        EXPECT_TRUE(names.insert(reason.name).second) << reason.name;
        EXPECT_FALSE(reason.meaning.empty() || reason.meaning.ends_with('.')) << reason.name;
        EXPECT_FALSE(reason.advice.empty() || reason.advice.ends_with('.')) << reason.name;
    }
    names.clear();
    for (std::size_t index = 0; index < counter_count; ++index) {
        const CounterText& counter = text(static_cast<Counter>(index));
        EXPECT_TRUE(names.insert(counter.name).second) << counter.name;
        EXPECT_FALSE(counter.help.empty() || counter.help.ends_with('.')) << counter.name;
    }
}

} // namespace
} // namespace sluice::telemetry
