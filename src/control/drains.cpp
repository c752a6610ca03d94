#include <sluice/control/drains.hpp>

#include "json.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace sluice::control {
namespace {

namespace json = boost::json;

constexpr std::size_t file_limit = 16U << 20U;

std::int64_t milliseconds_of(WallTime time)
{
    return std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count();
}

WallTime time_of(std::int64_t milliseconds) { return WallTime{std::chrono::milliseconds{milliseconds}}; }

json::object object_of(const Drain& drain)
{
    json::object item;
    item["pool"] = drain.pool;
    item["address"] = drain.server.to_string();
    item["since_ms"] = milliseconds_of(drain.since);
    if (drain.until) {
        item["until_ms"] = milliseconds_of(*drain.until);
    }
    item["who"] = drain.who;
    item["reason"] = drain.reason;
    return item;
}

Drain drain_of(const json::object& item)
{
    Drain drain;
    drain.pool = item.at("pool").as_string().c_str();
    const auto server = wire::Endpoint::parse(item.at("address").as_string());
    if (!server) {
        throw std::invalid_argument{"an address cannot be read"};
    }
    drain.server = *server;
    drain.since = time_of(item.at("since_ms").as_int64());
    if (const json::value* until = item.if_contains("until_ms")) {
        drain.until = time_of(until->as_int64());
    }
    drain.who = item.at("who").as_string().c_str();
    drain.reason = item.at("reason").as_string().c_str();
    return drain;
}

std::optional<std::string> read_file(const std::string& path, std::string& text)
{
    std::FILE* file = std::fopen(path.c_str(), "re");
    if (file == nullptr) {
        return errno == ENOENT ? std::nullopt : std::optional{fmt::format("{}: {}", path, std::strerror(errno))};
    }
    char buffer[4096];
    std::size_t size = 0;
    while (text.size() < file_limit && (size = std::fread(buffer, 1, sizeof buffer, file)) > 0) {
        text.append(buffer, size);
    }
    std::fclose(file);
    return {};
}

/// The whole file or the one before: a crash in between loses nothing.
std::string write_file(const std::string& path, const std::string& text)
{
    const std::string fresh = path + ".new";
    const int file = open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (file < 0) {
        return fmt::format("{}: {}", fresh, std::strerror(errno));
    }
    const bool written = write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size());
    const bool closed = close(file) == 0;
    if (!written || !closed || std::rename(fresh.c_str(), path.c_str()) != 0) {
        return fmt::format("{}: {}", path, std::strerror(errno));
    }
    return {};
}

void mark(Registry& registry, const std::string& pool, const wire::Endpoint& server, bool drained)
{
    const auto found = registry.servers.find({pool, server});
    if (found != registry.servers.end()) {
        found->second.server->set_drained(drained);
    }
}

} // namespace

std::optional<std::string> Drains::load(std::string path)
{
    path_ = std::move(path);
    std::string text;
    if (auto problem = read_file(path_, text)) {
        return problem;
    }
    if (text.empty()) {
        return {};
    }
    try {
        const json::value file = json::parse(text);
        for (const json::value& item : file.at("drains").as_array()) {
            drains_.push_back(drain_of(item.as_object()));
        }
    } catch (const std::exception& error) {
        return fmt::format("{}: {}", path_, error.what());
    }
    return {};
}

void Drains::set(Drain drain, Registry& registry, const DrainReport& report)
{
    std::erase_if(drains_,
                  [&](const Drain& known) { return known.pool == drain.pool && known.server == drain.server; });
    mark(registry, drain.pool, drain.server, true);
    drains_.push_back(std::move(drain));
    save();
    report(drains_.back(), true, drains_.back().reason);
}

bool Drains::clear(const std::string& pool, const wire::Endpoint& server, Registry& registry, const DrainReport& report)
{
    const auto found = std::find_if(drains_.begin(), drains_.end(),
                                    [&](const Drain& drain) { return drain.pool == pool && drain.server == server; });
    if (found == drains_.end()) {
        return false;
    }
    const Drain ended = *found;
    drains_.erase(found);
    mark(registry, pool, server, false);
    save();
    report(ended, false, "undrained");
    return true;
}

void Drains::expire(WallTime now, Registry& registry, const DrainReport& report)
{
    const auto over = [&](const Drain& drain) -> std::string_view {
        const auto found = registry.servers.find({drain.pool, drain.server});
        if (found == registry.servers.end() || !found->second.listed) {
            return "the server left the configuration";
        }
        return drain.until && *drain.until <= now ? "its time is over" : "";
    };
    std::vector<Drain> ended;
    for (const Drain& drain : drains_) {
        if (!over(drain).empty()) {
            ended.push_back(drain);
        }
    }
    if (ended.empty()) {
        return;
    }
    for (const Drain& drain : ended) {
        const std::string_view why = over(drain);
        std::erase_if(drains_,
                      [&](const Drain& each) { return each.pool == drain.pool && each.server == drain.server; });
        mark(registry, drain.pool, drain.server, false);
        report(drain, false, why);
    }
    save();
}

void Drains::apply(Registry& registry) const
{
    for (const Drain& drain : drains_) {
        mark(registry, drain.pool, drain.server, true);
    }
}

const Drain* Drains::find(const std::string& pool, const wire::Endpoint& server) const noexcept
{
    const auto found = std::find_if(drains_.begin(), drains_.end(),
                                    [&](const Drain& drain) { return drain.pool == pool && drain.server == server; });
    return found == drains_.end() ? nullptr : &*found;
}

void Drains::save()
{
    json::array items;
    for (const Drain& drain : drains_) {
        items.push_back(object_of(drain));
    }
    json::object file;
    file["schema"] = 1;
    file["drains"] = std::move(items);
    save_error_ = write_file(path_, json::serialize(file) + "\n");
}

} // namespace sluice::control
