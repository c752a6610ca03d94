#include <sluice/port/dpdk_log.hpp>

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <deque>
#include <mutex>
#include <rte_log.h>

namespace sluice::port {
namespace {

constexpr std::size_t kept_lines = 64;

class Log {
public:
    void append(std::string_view text)
    {
        const std::lock_guard guard{mutex_};
        for (const char character : text) {
            if (character != '\n') {
                partial_.push_back(character);
                continue;
            }
            lines_.push_back(std::move(partial_));
            partial_.clear();
            if (lines_.size() > kept_lines) {
                lines_.pop_front();
            }
        }
    }
    void clear()
    {
        const std::lock_guard guard{mutex_};
        lines_.clear();
    }
    [[nodiscard]] std::deque<std::string> lines() const
    {
        const std::lock_guard guard{mutex_};
        return lines_;
    }

private:
    mutable std::mutex mutex_;
    std::deque<std::string> lines_;
    std::string partial_;
};

Log& log()
{
    // Never destroyed: drivers log until the very end of the process.
    static Log& instance = *new Log;
    return instance;
}

ssize_t write_to_log(void*, const char* text, std::size_t size)
{
    log().append({text, size});
    return static_cast<ssize_t>(size);
}

bool looks_like_error(std::string_view line)
{
    // Said at every start without multi-process support, which we never use.
    if (line.find("mp action callback") != std::string_view::npos) {
        return false;
    }
    constexpr std::string_view words[] = {"error",   "fail",    "cannot", "could not", "not enough",
                                          "no free", "invalid", "unable", "denied",    "not permitted"};
    std::string lower{line};
    std::transform(lower.begin(), lower.end(), lower.begin(),
                   [](unsigned char character) { return static_cast<char>(std::tolower(character)); });
    return std::any_of(std::begin(words), std::end(words),
                       [&](std::string_view word) { return lower.find(word) != std::string::npos; });
}

} // namespace

void keep_dpdk_log()
{
    cookie_io_functions_t functions{};
    functions.write = write_to_log;
    std::FILE* const stream = ::fopencookie(nullptr, "w", functions);
    if (stream != nullptr) {
        std::setvbuf(stream, nullptr, _IOLBF, BUFSIZ);
        rte_openlog_stream(stream);
    }
}

std::string dpdk_errors()
{
    constexpr int limit = 3;
    std::string all;
    int count = 0;
    for (const std::string& line : log().lines()) {
        // "EAL: ", "rte_pmd_probe(): "
        const std::size_t prefix = line.find(": ");
        const std::string text = prefix == std::string::npos ? line : line.substr(prefix + 2);
        if (count < limit && looks_like_error(line) && all.find(text) == std::string::npos) {
            all += (all.empty() ? "" : "; ") + text;
            ++count;
        }
    }
    return all;
}

std::string kept_dpdk_log()
{
    std::string all;
    for (const std::string& line : log().lines()) {
        all += line + '\n';
    }
    return all;
}

void clear_dpdk_log() { log().clear(); }

} // namespace sluice::port
