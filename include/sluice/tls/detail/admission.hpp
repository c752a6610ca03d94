// A handshake operation's wait at the HandshakeGate.
#pragma once

#include <sluice/tls/engine.hpp>
#include <sluice/tls/handshake_gate.hpp>

#include <boost/asio/append.hpp>
#include <boost/asio/associated_allocator.hpp>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>

#include <memory>
#include <utility>

namespace sluice::tls::detail {

/// Allocated with the handler's allocator; frees itself when the handler is called or abandoned.
template <class Handler, class Executor>
class Admission final : public HandshakeGate::Waiter {
    using HandlerExecutor = boost::asio::associated_executor_t<Handler, Executor>;
    using HandlerAllocator = boost::asio::associated_allocator_t<Handler>;
    using Allocator = typename std::allocator_traits<HandlerAllocator>::template rebind_alloc<Admission>;

public:
    static void start(HandshakeGate& gate, Engine& engine, const Executor& executor, Handler handler)
    {
        Allocator allocator{boost::asio::get_associated_allocator(handler)};
        Admission* place = std::allocator_traits<Allocator>::allocate(allocator, 1);
        auto* admission = new (place) Admission{gate, engine, executor, std::move(handler)};
        auto slot = boost::asio::get_associated_cancellation_slot(admission->handler_);
        if (slot.is_connected()) {
            slot.assign([admission](boost::asio::cancellation_type type) { admission->cancel(type); });
        }
        gate.enter(*admission);
    }

    /// The signature is made here, inside HandshakeGate::admit_one(), and not when the executor gets round to it: that
    /// is what bounds the private-key work of a turn.
    void admitted() noexcept override
    {
        engine_.admit_private_key();
        static_cast<void>(engine_.handshake());
        waiting_ = false;
        post({});
    }

    void abandoned() noexcept override
    {
        waiting_ = false;
        const Handler last{take()};
    }

private:
    Admission(HandshakeGate& gate, Engine& engine, const Executor& executor, Handler&& handler)
        : gate_{gate}, engine_{engine}, handler_{std::move(handler)}, executor_{boost::asio::get_associated_executor(
                                                                          handler_, executor)}
    {
    }

    void cancel(boost::asio::cancellation_type type)
    {
        if (waiting_ && type != boost::asio::cancellation_type::none) {
            gate_.leave(*this);
            waiting_ = false;
            post(boost::asio::error::operation_aborted);
        }
    }

    void post(boost::system::error_code error)
    {
        const HandlerExecutor executor = executor_;
        boost::asio::post(executor, Completion{this, error});
    }

    /// Ends this object; what remains is the handler.
    [[nodiscard]] Handler take() noexcept
    {
        boost::asio::get_associated_cancellation_slot(handler_).clear();
        Handler handler{std::move(handler_)};
        Allocator allocator{boost::asio::get_associated_allocator(handler)};
        this->~Admission();
        std::allocator_traits<Allocator>::deallocate(allocator, this, 1);
        return handler;
    }

    struct Free {
        void operator()(Admission* admission) const noexcept { admission->abandoned(); }
    };

    /// What is posted: owns the Admission, so that an executor that is destroyed before it runs this leaks nothing.
    struct Completion {
        Completion(Admission* admission_in, boost::system::error_code error_in) noexcept
            : admission{admission_in}, error{error_in}
        {
        }

        void operator()()
        {
            const boost::system::error_code result = error;
            Handler handler{admission.release()->take()};
            std::move(handler)(result);
        }

        std::unique_ptr<Admission, Free> admission;
        boost::system::error_code error;
    };

    HandshakeGate& gate_;
    Engine& engine_;
    Handler handler_;
    HandlerExecutor executor_;
    bool waiting_ = true;
};

/// Completes `handler(error_code)` through its executor once the gate has admitted the handshake of `engine` and its
/// private-key operation is done.
template <class Executor, class Handler>
void async_admission(HandshakeGate& gate, Engine& engine, const Executor& executor, Handler&& handler)
{
    Admission<std::decay_t<Handler>, Executor>::start(gate, engine, executor, std::forward<Handler>(handler));
}

} // namespace sluice::tls::detail
