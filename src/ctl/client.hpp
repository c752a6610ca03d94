// One conversation with a node: a request goes out, objects come in, each on a line of its own.
#pragma once

#include <sluice/base/result.hpp>

#include <boost/json/object.hpp>

#include <chrono>
#include <functional>
#include <string>

namespace sluice::ctl {

/// Exit codes of sluicectl; the node decides the others (see docs/sluicectl.md).
enum class Exit : int { success = 0, refused = 1, no_answer = 2, file_invalid = 3, usage = 64 };

struct Conversation {
    std::string socket;                 ///< Path
    std::chrono::milliseconds patience; ///< Without a line for so long the node does not answer; 0: forever
    /// When this descriptor gets readable the node is told that we want no more, and what is left is read. -1: none.
    int stop = -1;
};

/// Called for each object; false ends the conversation.
using Receiver = std::function<bool(const boost::json::object& object, const std::string& line)>;

/// Sends `request` and hands every line of the answer to `receive`. With `stream` until the node closes, else one. The
/// error is a sentence: nobody answers.
[[nodiscard]] Expected<void, std::string> converse(const Conversation& with, const boost::json::object& request,
                                                   bool stream, const Receiver& receive);

} // namespace sluice::ctl
