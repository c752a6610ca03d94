// Wakes one coroutine. A notification without a waiter is kept for the next one; several are one. Owner of the loop
// only.
#pragma once

#include <sluice/tcp/awaitable.hpp>
#include <sluice/tcp/operation.hpp>

#include <boost/asio/async_result.hpp>

#include <utility>

namespace sluice::proxy {

class Signal {
public:
    explicit Signal(tcp::Loop& loop) noexcept : loop_{loop} {}
    Signal(const Signal&) = delete;
    Signal& operator=(const Signal&) = delete;
    ~Signal() = default; ///< Nobody may be waiting.

    void notify() noexcept
    {
        if (waiting_ != nullptr) {
            std::exchange(waiting_, nullptr)->complete({});
        } else {
            notified_ = true;
        }
    }

    /// Awaitable; always resumes through the loop. Wait in a loop around the condition.
    [[nodiscard]] auto wait()
    {
        return boost::asio::async_initiate<const boost::asio::use_awaitable_t<tcp::Executor>, void(tcp::ErrorCode)>(
            [this](auto handler) {
                auto* operation =
                    tcp::HandlerOperation<tcp::WaitOperation, decltype(handler)>::create(loop_, std::move(handler));
                operation->attach(this, [](void*, tcp::Operation&) noexcept {});
                if (std::exchange(notified_, false)) {
                    operation->complete({});
                } else {
                    waiting_ = operation;
                }
            },
            tcp::use_awaitable);
    }

private:
    tcp::Loop& loop_;
    tcp::Operation* waiting_ = nullptr;
    bool notified_ = false;
};

} // namespace sluice::proxy
