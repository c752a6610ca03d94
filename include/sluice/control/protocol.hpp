// The control socket speaks lines of JSON: a request is one object with `verb` and the verb's arguments; the answer is
// one object, or for `connections`, `events` and `capture` one object per line until the node closes the connection.
// Every object carries schema, node and time; an answer carries exit_code, and error and hint when the node says no.
#pragma once

#include <sluice/base/result.hpp>
#include <sluice/base/time.hpp>

#include <boost/json/object.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::control {

inline constexpr int schema_version = 1;
/// A request is shorter.
inline constexpr std::size_t request_limit = 16 * 1024;

/// Exit codes of sluicectl that the node decides.
enum class Exit : int { success = 0, refused = 1, file_invalid = 3, usage = 64 };

class Request {
public:
    /// From one line, without its end. The error is a sentence.
    [[nodiscard]] static Expected<Request, std::string> parse(std::string_view line);

    [[nodiscard]] const std::string& verb() const noexcept { return verb_; }
    /// Nothing when it is absent; throws std::invalid_argument when it is of another kind.
    [[nodiscard]] std::optional<std::string> text(std::string_view key) const;
    [[nodiscard]] std::optional<Duration> duration(std::string_view key) const; ///< `<key>_seconds`, a number
    [[nodiscard]] bool flag(std::string_view key) const;
    [[nodiscard]] std::optional<std::uint64_t> number(std::string_view key) const; ///< Whole, not negative
    /// Of whole numbers, each below 2^32; empty when it is absent.
    [[nodiscard]] std::vector<std::uint32_t> numbers(std::string_view key) const;

private:
    std::string verb_;
    boost::json::object arguments_;
};

} // namespace sluice::control
