// Feeds texts to the HTTP/1 parsers whole and cut into two at every byte; the outcome must not depend on the cut.
#pragma once

#include <sluice/http/http1.hpp>

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::http::http1::test {

inline Bytes as_bytes(std::string_view text) { return {reinterpret_cast<const std::byte*>(text.data()), text.size()}; }
inline std::string as_string(Bytes bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

/// What became of a text: nothing yet, refused with a reason, or complete with so many bytes left over.
struct Outcome {
    Status status = Status::need_more;
    std::optional<Reason> reason;
    std::string rest;

    bool operator==(const Outcome&) const = default;
};

inline std::ostream& operator<<(std::ostream& out, const Outcome& outcome)
{
    switch (outcome.status) {
    case Status::need_more:
        return out << "incomplete";
    case Status::complete:
        return out << "complete, rest \"" << outcome.rest << '"';
    case Status::refused:
        return out << "refused: " << name(*outcome.reason);
    }
    return out;
}

template <class Parser>
Outcome feed_pieces(Parser& parser, const std::vector<std::string_view>& pieces)
{
    Outcome outcome;
    for (const std::string_view piece : pieces) {
        std::string_view rest = piece;
        if (outcome.status == Status::need_more) {
            const Progress progress = parser.feed(as_bytes(piece));
            EXPECT_LE(progress.consumed, piece.size());
            outcome.status = progress.status;
            rest.remove_prefix(progress.consumed);
            if (progress.status == Status::refused) {
                outcome.reason = parser.reason();
                return outcome;
            }
        }
        if (outcome.status == Status::complete) {
            outcome.rest.append(rest);
        } else {
            EXPECT_TRUE(rest.empty()) << "a parser that wants more must take all";
        }
    }
    return outcome;
}

/// Whole, then cut at every byte, then byte by byte; returns the outcome of the whole and fails if another differs.
template <class Parser>
Outcome feed_every_way(std::string_view text, const HeadLimits& limits = {})
{
    Parser whole{limits};
    const Outcome expected = feed_pieces(whole, {text});
    for (std::size_t cut = 1; cut < text.size(); ++cut) {
        Parser parser{limits};
        const Outcome outcome = feed_pieces(parser, {text.substr(0, cut), text.substr(cut)});
        EXPECT_EQ(outcome, expected) << "cut at " << cut;
    }
    Parser dribbled{limits};
    std::vector<std::string_view> single;
    for (std::size_t at = 0; at < text.size(); ++at) {
        single.push_back(text.substr(at, 1));
    }
    EXPECT_EQ(feed_pieces(dribbled, single), expected) << "byte by byte";
    return expected;
}

} // namespace sluice::http::http1::test
