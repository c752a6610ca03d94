// A question to a core, answered between two of its turns. Control thread.
#pragma once

#include "node.hpp"

#include <memory>
#include <optional>
#include <type_traits>

namespace sluice::app {

/// Long enough for a core that is busy, short enough for a person who waits.
inline constexpr Duration ask_patience = std::chrono::milliseconds{50};

/// What `question(core)` returns on that core; nothing when the core did not get to it in time. The question may run
/// later than that, so it must own what it touches.
template <class Question>
auto ask(Node& node, std::size_t core, Question question, Duration patience = ask_patience)
    -> std::optional<std::invoke_result_t<Question, Core&>>
{
    using Result = std::invoke_result_t<Question, Core&>;
    const auto result = std::make_shared<std::optional<Result>>();
    const bool answered = node.call(
        core, [result, question = std::move(question)](Core& on) { result->emplace(question(on)); }, patience);
    return answered ? std::move(*result) : std::nullopt;
}

} // namespace sluice::app
