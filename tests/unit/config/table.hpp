// Rows of "this text gives exactly these findings".
#pragma once

#include "support.hpp"

#include <gtest/gtest.h>

namespace sluice::config::testing {

struct Row {
    std::string name;
    std::string text;
    std::string findings; ///< summary(): "LINE:COLUMN: severity: message [hint]" lines; empty when nothing is wrong.
};

inline std::ostream& operator<<(std::ostream& out, const Row& row) { return out << row.name; }

inline std::string row_name(const ::testing::TestParamInfo<Row>& info) { return info.param.name; }

/// Also that a model is handed out exactly when there is no error, and that it survives being printed.
inline void expect_findings(const Row& row)
{
    const Loaded loaded = load_text(row.text);
    EXPECT_EQ(summary(loaded.diagnostics), row.findings) << row.text;
    EXPECT_EQ(loaded.model.has_value(), !has_errors(loaded.diagnostics));
    if (loaded.model) {
        const Loaded again = load_text(print(*loaded.model));
        ASSERT_TRUE(again.model) << summary(again.diagnostics) << print(*loaded.model);
        EXPECT_EQ(*again.model, *loaded.model) << print(*loaded.model);
    }
}

} // namespace sluice::config::testing
