#include <sluice/control/log_thread.hpp>

#include <sluice/proxy/access_record.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <fcntl.h>
#include <limits>
#include <mutex>
#include <sys/stat.h>
#include <unistd.h>

namespace sluice::control {
namespace {

using namespace std::chrono_literals;

/// How often rings are looked at. A ring holds some thousand records, so this bounds what a sudden load may lose.
constexpr auto idle_pause = 20ms;
constexpr auto busy_pause = 1ms;
constexpr std::size_t lines_limit = 8192;
constexpr std::size_t records_per_round = 1024;
constexpr auto open_again_after = 1s;
constexpr auto end_patience = 1s;

/// A file that is appended to, or standard error. The log thread only.
class Output {
public:
    ~Output() { close(); }

    /// An empty path is standard error.
    void aim(const std::string& path)
    {
        if (path != path_) {
            close();
            path_ = path;
        }
    }
    void close()
    {
        if (descriptor_ >= 0) {
            ::close(descriptor_);
        }
        descriptor_ = -1;
        tried_ = {};
    }

    /// How much of the text, which is lines, was written: whole lines only, so that a full disk leaves no half of one.
    /// error() says why it was not all.
    std::size_t write(std::string_view text)
    {
        const int descriptor = path_.empty() ? STDERR_FILENO : open();
        std::size_t done = 0;
        while (descriptor >= 0 && done < text.size()) {
            const ssize_t written = ::write(descriptor, text.data() + done, text.size() - done);
            if (written < 0 && errno == EINTR) {
                continue;
            }
            if (written <= 0) {
                error_ = fmt::format("{}: {}", path_.empty() ? "standard error" : path_, std::strerror(errno));
                const std::size_t whole = text.substr(0, done).rfind('\n') + 1;
                take_back(descriptor, done - whole);
                return whole;
            }
            done += static_cast<std::size_t>(written);
        }
        if (descriptor >= 0) {
            error_.clear();
        }
        return done;
    }
    [[nodiscard]] const std::string& error() const noexcept { return error_; }

private:
    static void take_back(int descriptor, std::size_t bytes)
    {
        struct stat status {};
        if (bytes != 0 && fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode)) {
            // Nothing more can be done when even this fails.
            static_cast<void>(ftruncate(descriptor, status.st_size - static_cast<off_t>(bytes)) == 0);
        }
    }

    int open()
    {
        const auto now = std::chrono::steady_clock::now();
        if (descriptor_ < 0 && (tried_ == std::chrono::steady_clock::time_point{} || now - tried_ > open_again_after)) {
            tried_ = now;
            descriptor_ = ::open(path_.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
            if (descriptor_ < 0) {
                error_ = fmt::format("{}: {}", path_, std::strerror(errno));
            }
        }
        return descriptor_;
    }

    std::string path_;
    int descriptor_ = -1;
    std::chrono::steady_clock::time_point tried_{};
    std::string error_;
};

/// Writes lines; how many of them could not be written.
std::uint64_t lost_lines(Output& output, std::string_view text)
{
    const std::size_t written = text.empty() ? 0 : output.write(text);
    return static_cast<std::uint64_t>(
        std::count(text.begin() + static_cast<std::ptrdiff_t>(written), text.end(), '\n'));
}

} // namespace

struct LogThread::State {
    State(const Clock& time, std::string name, LogTargets first)
        : clock{time}, node{std::move(name)}, targets{std::move(first)}
    {
    }

    const Clock& clock;
    const std::string node;
    std::atomic<std::uint64_t> lines_lost{0};
    std::atomic<std::uint64_t> access_lines_lost{0};

    std::mutex mutex; ///< Of everything below; never held while a file is touched
    std::condition_variable changed;
    std::deque<std::string> lines;
    std::vector<telemetry::RecordRing*> rings;
    std::vector<proxy::AccessRecord> left; ///< Of rings that are read no more
    LogTargets targets;
    std::string problem;
    bool reopen = false;
    bool stop = false;
    bool ended = false;

    void run();
    void take_records(std::vector<proxy::AccessRecord>& records, std::size_t limit);
    void write_lines(Output& output, const std::deque<std::string>& taken);
    void write_records(Output& output, const std::vector<proxy::AccessRecord>& records);
};

void LogThread::State::take_records(std::vector<proxy::AccessRecord>& records, std::size_t limit)
{
    for (telemetry::RecordRing* ring : rings) {
        for (std::size_t count = 0; count < limit; ++count) {
            const Bytes bytes = ring->front();
            if (bytes.empty()) {
                break;
            }
            // Without a file they are thrown away, so that no ring fills up and counts what nobody misses.
            if (targets.access) {
                if (auto record = proxy::access_record_from(bytes)) {
                    records.push_back(*record);
                }
            }
            ring->pop();
        }
    }
}

void LogThread::State::write_lines(Output& output, const std::deque<std::string>& taken)
{
    std::string text;
    for (const std::string& line : taken) {
        text += line;
    }
    lines_lost += lost_lines(output, text);
}

void LogThread::State::write_records(Output& output, const std::vector<proxy::AccessRecord>& records)
{
    if (records.empty()) {
        return;
    }
    const Duration offset = std::chrono::system_clock::now().time_since_epoch() - clock.now().time_since_epoch();
    std::string text;
    for (const proxy::AccessRecord& record : records) {
        text += proxy::format_access_json(record, node, offset);
        text += '\n';
    }
    access_lines_lost += lost_lines(output, text);
}

void LogThread::State::run()
{
    Output main;
    Output access;
    std::vector<proxy::AccessRecord> records;
    std::deque<std::string> taken;
    std::unique_lock lock{mutex};
    while (true) {
        const bool busy = !records.empty();
        changed.wait_for(lock, busy ? busy_pause : idle_pause, [&] { return stop || reopen || !lines.empty(); });
        records.clear();
        taken.clear();
        taken.swap(lines);
        records.swap(left);
        take_records(records, records_per_round);
        const bool last = stop && taken.empty() && records.empty();
        const bool again = std::exchange(reopen, false);
        const LogTargets wanted = targets;
        lock.unlock();
        if (again) {
            main.close();
            access.close();
        }
        main.aim(wanted.main);
        access.aim(wanted.access.value_or(std::string{}));
        write_lines(main, taken);
        if (wanted.access) {
            write_records(access, records);
        }
        lock.lock();
        problem = !main.error().empty() ? main.error() : wanted.access ? access.error() : std::string{};
        if (last) {
            ended = true;
            changed.notify_all();
            return;
        }
    }
}

LogThread::LogThread(const Clock& clock, std::string node, LogTargets targets)
    : state_{std::make_shared<State>(clock, std::move(node), std::move(targets))}, thread_{[state = state_] {
          state->run();
      }}
{
}

LogThread::~LogThread()
{
    std::unique_lock lock{state_->mutex};
    state_->stop = true;
    state_->changed.notify_all();
    const bool ended = state_->changed.wait_for(lock, end_patience, [this] { return state_->ended; });
    state_->rings.clear();
    lock.unlock();
    if (ended) {
        thread_.join();
    } else {
        // The disk hangs. The thread owns what it uses, apart from the clock, which it reads before it writes.
        thread_.detach();
    }
}

void LogThread::write(std::string line)
{
    const std::lock_guard lock{state_->mutex};
    if (state_->lines.size() >= lines_limit) {
        ++state_->lines_lost;
        return;
    }
    state_->lines.push_back(std::move(line));
    state_->changed.notify_all();
}

void LogThread::read(std::vector<telemetry::RecordRing*> rings)
{
    const std::lock_guard lock{state_->mutex};
    state_->take_records(state_->left, std::numeric_limits<std::size_t>::max());
    state_->rings = std::move(rings);
}

void LogThread::set_targets(LogTargets targets)
{
    const std::lock_guard lock{state_->mutex};
    state_->targets = std::move(targets);
}

void LogThread::reopen()
{
    const std::lock_guard lock{state_->mutex};
    state_->reopen = true;
    state_->changed.notify_all();
}

std::uint64_t LogThread::lines_lost() const noexcept { return state_->lines_lost; }
std::uint64_t LogThread::access_lines_lost() const noexcept { return state_->access_lines_lost; }

std::string LogThread::problem() const
{
    const std::lock_guard lock{state_->mutex};
    return state_->problem;
}

} // namespace sluice::control
