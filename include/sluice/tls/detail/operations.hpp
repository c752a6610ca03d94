// The operations of tls::Stream: each moves bytes between an Engine and the next layer until its step is done. Included
// by stream.hpp alone.
#pragma once

#include <sluice/tls/detail/admission.hpp>
#include <sluice/tls/detail/steps.hpp>
#include <sluice/tls/engine.hpp>
#include <sluice/tls/handshake_gate.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>

#include <cstddef>
#include <type_traits>
#include <utility>

namespace sluice::tls::detail {

template <class Next>
struct StreamCore {
    template <class Layer, class... EngineArguments>
    StreamCore(Layer&& layer, HandshakeGate* handshake_gate, EngineArguments&&... arguments)
        : next{std::forward<Layer>(layer)}, engine{std::forward<EngineArguments>(arguments)...}, gate{handshake_gate}
    {
    }

    Next next;
    Engine engine;
    HandshakeGate* gate; ///< Null: private-key operations are not bounded.
};

struct IgnoreResult {
    void operator()(boost::system::error_code) const noexcept {}
};

template <class Next>
concept WaitsReadable = requires(Next& next)
{
    next.async_wait_readable(IgnoreResult{});
};

/// Runs `Step` to its end over `Next`: the implementation object of an asio composed operation.
template <class Next, class Step>
class Operation {
public:
    Operation(StreamCore<Next>& core, Step step) : core_{&core}, step_{std::move(step)} {}

    /// Called to start, and whenever what was awaited has completed.
    template <class Self>
    void operator()(Self& self, boost::system::error_code error = {}, std::size_t bytes = 0)
    {
        if constexpr (Step::cancels_without_loss) {
            if (!started_) {
                self.reset_cancellation_state(boost::asio::enable_total_cancellation());
            }
        }
        started_ = true;
        take(error, bytes);
        if (receive_next_) {
            receive_next_ = false;
            receive(self);
        } else {
            advance(self);
        }
    }

private:
    enum class Awaited : unsigned char { nothing, readable, received, drained, admitted, turn };

    /// Accounts for what was awaited.
    void take(boost::system::error_code error, std::size_t bytes) noexcept
    {
        Engine& engine = core_->engine;
        switch (awaited_) {
        case Awaited::received:
            receive_completed(error, bytes);
            return;
        case Awaited::drained:
            engine.output_consumed(bytes);
            break;
        case Awaited::readable:
            if (!error && std::is_same_v<Step, WaitReadable>) {
                finish({}, 0);
            } else if (!error) {
                receive_next_ = true;
            }
            break;
        case Awaited::nothing:
        case Awaited::admitted:
        case Awaited::turn:
            break;
        }
        if (error) {
            finish(error, 0);
            drainable_ = false;
        }
    }

    void receive_completed(boost::system::error_code error, std::size_t bytes) noexcept
    {
        Engine& engine = core_->engine;
        if (bytes > 0) {
            engine.input_filled(bytes);
        } else {
            engine.input_abandoned();
        }
        if (error == boost::asio::error::eof) {
            engine.input_ended();
        } else if (error && bytes == 0) {
            finish(error, 0);
        }
    }

    /// The first result stands.
    void finish(boost::system::error_code error, std::size_t bytes) noexcept
    {
        if (!finished_ || (!error_ && error)) {
            error_ = error;
            bytes_ = error ? 0 : bytes;
        }
        finished_ = true;
    }

    template <class Self>
    void advance(Self& self)
    {
        Engine& engine = core_->engine;
        for (;;) {
            if (Step::drains && drainable_ && !engine.output().empty()) {
                drain(self);
                return;
            }
            if (finished_) {
                complete(self);
                return;
            }
            const Transfer moved = step_.run(engine);
            switch (moved.status) {
            case Status::ok:
                finish({}, moved.bytes);
                break;
            case Status::closed:
                finish(boost::asio::error::eof, 0);
                break;
            case Status::failed:
                finish(engine.error(), 0);
                break;
            case Status::want_output:
                break; // Only of steps that drain, and then there is something to drain.
            case Status::want_input:
                if (!Step::drains || engine.output().empty()) {
                    await_input(self);
                    return;
                }
                break;
            case Status::want_private_key:
                if (core_->gate != nullptr) {
                    awaited_ = Awaited::admitted;
                    async_admission(*core_->gate, engine, core_->next.get_executor(), std::move(self));
                    return;
                }
                engine.admit_private_key();
                break;
            }
        }
    }

    template <class Self>
    void await_input(Self& self)
    {
        if (self.cancelled() != boost::asio::cancellation_type::none) {
            finish(boost::asio::error::operation_aborted, 0);
            complete(self);
            return;
        }
        if constexpr (WaitsReadable<Next>) {
            awaited_ = Awaited::readable;
            core_->next.async_wait_readable(std::move(self));
        } else {
            receive(self);
        }
    }

    template <class Self>
    void receive(Self& self)
    {
        const MutableBytes space = core_->engine.input_space();
        if (space.empty()) {
            finish(core_->engine.error(), 0);
            complete(self);
            return;
        }
        awaited_ = Awaited::received;
        core_->next.async_read_some(boost::asio::buffer(space.data(), space.size()), std::move(self));
    }

    template <class Self>
    void drain(Self& self)
    {
        const Bytes output = core_->engine.output();
        awaited_ = Awaited::drained;
        core_->next.async_write_some(boost::asio::buffer(output.data(), output.size()), std::move(self));
    }

    template <class Self>
    void complete(Self& self)
    {
        if (awaited_ == Awaited::nothing) { // Still inside the initiating function, where no handler may run.
            awaited_ = Awaited::turn;
            const auto executor = core_->next.get_executor();
            boost::asio::post(executor, std::move(self));
            return;
        }
        if constexpr (Step::has_size) {
            self.complete(error_, bytes_);
        } else {
            self.complete(error_);
        }
    }

    StreamCore<Next>* core_;
    Step step_;
    boost::system::error_code error_;
    std::size_t bytes_ = 0;
    Awaited awaited_ = Awaited::nothing;
    bool started_ = false;
    bool finished_ = false;
    bool drainable_ = true;
    bool receive_next_ = false;
};

} // namespace sluice::tls::detail
