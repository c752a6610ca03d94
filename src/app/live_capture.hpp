// A capture of a running node: a tap on every core. Control thread.
#pragma once

#include "node.hpp"

#include <sluice/control/capture.hpp>
#include <sluice/port/tap.hpp>

namespace sluice::app {

class LiveCapture final : public control::CaptureSource {
public:
    /// Puts the taps in place. `running` is set while they are; both must outlive it.
    LiveCapture(Node& node, const port::TapOptions& options, bool& running);
    ~LiveCapture() override;
    LiveCapture(const LiveCapture&) = delete;
    LiveCapture& operator=(const LiveCapture&) = delete;

    void stop() override;
    std::size_t read(std::vector<std::byte>& out, std::size_t bytes, std::uint64_t packets) override
    {
        return reader_.read(out, bytes, packets);
    }
    [[nodiscard]] std::uint64_t discarded() const override { return reader_.discarded(); }
    [[nodiscard]] std::uint64_t unseen_drops() const override { return reader_.unseen_drops(); }

private:
    Node& node_;
    bool& running_;
    bool stopped_ = false;
    std::vector<std::shared_ptr<port::FrameTap>> taps_;
    port::TapReader reader_;
};

} // namespace sluice::app
