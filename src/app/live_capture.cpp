#include "live_capture.hpp"

#include "ask.hpp"
#include "operations.hpp"
#include "supervisor.hpp"

#include <boost/asio/steady_timer.hpp>
#include <spdlog/spdlog.h>

namespace sluice::app {
namespace {

std::vector<std::shared_ptr<port::FrameTap>> make_taps(const Node& node, const port::TapOptions& options)
{
    std::vector<std::shared_ptr<port::FrameTap>> taps;
    for (std::size_t core = 0; core < node.cores().size(); ++core) {
        taps.push_back(std::make_shared<port::FrameTap>(options));
    }
    return taps;
}

std::vector<std::string> port_names(const Node& node)
{
    std::vector<std::string> names;
    for (const auto& port : node.ports()) {
        names.emplace_back(port->name());
    }
    return names;
}

Duration wall_clock(const Clock& clock) noexcept
{
    return std::chrono::duration_cast<Duration>(std::chrono::system_clock::now().time_since_epoch()) -
           clock.now().time_since_epoch();
}

} // namespace

LiveCapture::LiveCapture(Node& node, const port::TapOptions& options, bool& running)
    : node_{node}, running_{running}, taps_{make_taps(node, options)}, reader_{taps_, port_names(node), options.snap,
                                                                               wall_clock(node.shared().clock)}
{
    running_ = true;
    for (std::size_t core = 0; core < taps_.size(); ++core) {
        node_.call(
            core, [tap = taps_[core]](Core& on) { on.set_tap(tap); }, ask_patience);
    }
}

LiveCapture::~LiveCapture()
{
    stop();
    running_ = false;
}

void LiveCapture::stop()
{
    if (std::exchange(stopped_, true)) {
        return;
    }
    // Waits, so that what is freed is not freed by a core.
    for (std::size_t core = 0; core < taps_.size(); ++core) {
        node_.call(
            core, [](Core& on) { on.set_tap(nullptr); }, ask_patience);
    }
    spdlog::info("capture ended: {} packets found no room", discarded());
}

Expected<std::unique_ptr<control::CaptureSource>, std::string>
NodeOperations::capture(const control::CaptureRequest& request)
{
    if (capturing_) {
        return failure(std::string{"a capture runs already, and a core has one tap"});
    }
    auto filter = port::FrameFilter::make(request.filter);
    if (!filter) {
        return failure(std::string{"the filter is no valid program, or too long"});
    }
    port::TapOptions options;
    options.filter = std::move(*filter);
    options.dropped = request.dropped;
    options.snap = request.snap;
    spdlog::info("capture begins: {}, {} bytes of each packet", request.dropped ? "what is dropped" : "both directions",
                 request.snap);
    return std::make_unique<LiveCapture>(*supervisor_.node_, options, capturing_);
}

void NodeOperations::call_later(Duration wait, std::function<void()> then)
{
    auto timer = std::make_shared<boost::asio::steady_timer>(supervisor_.io_, wait);
    timer->async_wait([timer, then = std::move(then)](const boost::system::error_code& error) {
        if (!error) {
            then();
        }
    });
}

} // namespace sluice::app
