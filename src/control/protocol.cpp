#include <sluice/control/protocol.hpp>

#include <boost/json/parse.hpp>

#include <cmath>
#include <limits>
#include <stdexcept>

namespace sluice::control {
namespace {

namespace json = boost::json;

constexpr std::size_t depth_limit = 8;
/// Longer than anybody drains a server.
constexpr double longest_duration = 10.0 * 365 * 24 * 3600;

} // namespace

Expected<Request, std::string> Request::parse(std::string_view line)
{
    if (line.size() > request_limit) {
        return failure(std::string{"the request is too long"});
    }
    json::parse_options options;
    options.max_depth = depth_limit;
    json::error_code error;
    json::value value = json::parse(line, error, {}, options);
    if (error || !value.is_object()) {
        return failure(std::string{"a request is one JSON object on one line"});
    }
    Request request;
    request.arguments_ = std::move(value.as_object());
    const json::value* verb = request.arguments_.if_contains("verb");
    if (verb == nullptr || !verb->is_string()) {
        return failure(std::string{"a request has a `verb`, a text"});
    }
    request.verb_ = verb->as_string().c_str();
    return request;
}

std::optional<std::string> Request::text(std::string_view key) const
{
    const json::value* value = arguments_.if_contains(key);
    if (value == nullptr || value->is_null()) {
        return {};
    }
    if (!value->is_string()) {
        throw std::invalid_argument{"`" + std::string{key} + "` is a text"};
    }
    return std::string{std::string_view{value->as_string()}};
}

std::optional<Duration> Request::duration(std::string_view key) const
{
    const std::string name = std::string{key} + "_seconds";
    const json::value* value = arguments_.if_contains(name);
    if (value == nullptr || value->is_null()) {
        return {};
    }
    json::error_code error;
    const auto number = value->to_number<double>(error);
    if (error || !std::isfinite(number) || number <= 0 || number > longest_duration) {
        throw std::invalid_argument{"`" + name + "` is a number of seconds above 0"};
    }
    return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(number));
}

std::optional<std::uint64_t> Request::number(std::string_view key) const
{
    const json::value* value = arguments_.if_contains(key);
    if (value == nullptr || value->is_null()) {
        return {};
    }
    if (!value->is_int64() || value->as_int64() < 0) {
        throw std::invalid_argument{"`" + std::string{key} + "` is a whole number"};
    }
    return static_cast<std::uint64_t>(value->as_int64());
}

std::vector<std::uint32_t> Request::numbers(std::string_view key) const
{
    const json::value* value = arguments_.if_contains(key);
    std::vector<std::uint32_t> result;
    if (value == nullptr || value->is_null()) {
        return result;
    }
    const auto refuse = [&] { throw std::invalid_argument{"`" + std::string{key} + "` is a list of whole numbers"}; };
    if (!value->is_array()) {
        refuse();
    }
    for (const json::value& one : value->as_array()) {
        if (!one.is_int64() || one.as_int64() < 0 || one.as_int64() > std::numeric_limits<std::uint32_t>::max()) {
            refuse();
        }
        result.push_back(static_cast<std::uint32_t>(one.as_int64()));
    }
    return result;
}

bool Request::flag(std::string_view key) const
{
    const json::value* value = arguments_.if_contains(key);
    if (value == nullptr || value->is_null()) {
        return false;
    }
    if (!value->is_bool()) {
        throw std::invalid_argument{"`" + std::string{key} + "` is true or false"};
    }
    return value->as_bool();
}

} // namespace sluice::control
