#include "supervisor.hpp"

#include <spdlog/sinks/base_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <mutex>

namespace sluice::app {
namespace {

constexpr const char* line_format = "%Y-%m-%dT%H:%M:%S.%e%z %l %v";

/// Formats here, writes there.
class LogThreadSink final : public spdlog::sinks::base_sink<std::mutex> {
public:
    explicit LogThreadSink(control::LogThread& thread) : thread_{thread} {}

protected:
    void sink_it_(const spdlog::details::log_msg& message) override
    {
        spdlog::memory_buf_t line;
        formatter_->format(message, line);
        thread_.write(std::string{line.data(), line.size()});
    }
    void flush_() override {}

private:
    control::LogThread& thread_;
};

void use_sink(std::shared_ptr<spdlog::sinks::sink> sink)
{
    const auto level = spdlog::get_level();
    spdlog::set_default_logger(std::make_shared<spdlog::logger>("sluice", std::move(sink)));
    spdlog::set_pattern(line_format);
    spdlog::set_level(level);
}

control::LogTargets targets_of(const config::Log& log)
{
    control::LogTargets targets;
    targets.main = log.to.file.path;
    if (log.access) {
        targets.access = log.access->file->path;
    }
    return targets;
}

} // namespace

void Supervisor::start_log()
{
    log_ = std::make_unique<control::LogThread>(clock_, model_->node, targets_of(model_->log));
    use_sink(std::make_shared<LogThreadSink>(*log_));
    set_log_level(model_->log.level);
}

void Supervisor::end_log()
{
    if (log_) {
        use_sink(std::make_shared<spdlog::sinks::stderr_sink_mt>());
        log_.reset();
    }
}

void Supervisor::apply_log(const config::Log& log)
{
    log_->set_targets(targets_of(log));
    set_log_level(log.level);
}

void Supervisor::set_log_level(config::LogLevel level)
{
    static constexpr spdlog::level::level_enum levels[] = {
        spdlog::level::trace, spdlog::level::debug, spdlog::level::info, spdlog::level::warn, spdlog::level::err};
    spdlog::set_level(levels[static_cast<std::size_t>(level)]);
}

} // namespace sluice::app
