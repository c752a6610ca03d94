// Results and their unwinding. The three error idioms of the project are described in docs/architecture.md.
#pragma once

#include <tl/expected.hpp>

#include <string>
#include <utility>

namespace sluice {

/// A value or an error; never throws on its own account.
template <class Value, class Error>
using Expected = tl::expected<Value, Error>;

template <class Error>
[[nodiscard]] tl::unexpected<std::decay_t<Error>> failure(Error&& error)
{
    return tl::unexpected<std::decay_t<Error>>(std::forward<Error>(error));
}

/// What went wrong on this machine (interface, memory, capability) and the command that mends it. Exit code 4.
struct MachineError {
    std::string message;
    std::string remedy; ///< A command or a file to change; may be empty.
};

} // namespace sluice
