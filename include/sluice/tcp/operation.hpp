// Asynchronous operations: a type-erased core that the stack and the timers work with, and the thin template that
// carries a completion handler. Used by stream.hpp, stack.hpp and timer.hpp; not by applications.
#pragma once

#include <sluice/tcp/loop.hpp>

#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/system/error_code.hpp>

#include <tuple>

namespace sluice::tcp {

using ErrorCode = boost::system::error_code;

/// Pending while `owner` is set; complete() queues its handler. It never runs inside the initiating call.
class Operation : public Task {
public:
    /// Ends a pending operation with operation_aborted; `owner` is what attach() was given.
    using Cancel = void (*)(void* owner, Operation& operation) noexcept;

    void attach(void* owner, Cancel how) noexcept
    {
        owner_ = owner;
        cancel_ = how;
    }
    [[nodiscard]] bool pending() const noexcept { return owner_ != nullptr; }
    void cancel() noexcept
    {
        if (owner_ != nullptr) {
            cancel_(owner_, *this);
        }
    }
    void complete(const ErrorCode& error) noexcept
    {
        owner_ = nullptr;
        error_ = error;
        loop_.post(*this);
    }

    Operation* next_operation = nullptr; ///< For the owner's list of pending operations.

protected:
    Operation(Loop& loop, Function function) noexcept : Task{function}, loop_{loop} {}
    ~Operation() = default;

    Loop& loop_;
    ErrorCode error_;

private:
    void* owner_ = nullptr;
    Cancel cancel_ = nullptr;
};

/// Completes with (error).
class WaitOperation : public Operation {
protected:
    using Operation::Operation;
    [[nodiscard]] std::tuple<ErrorCode> result() noexcept { return {error_}; }
};

/// `Base` adds to Operation what the owner needs and says with result() what the handler is called with.
template <class Base, class Handler>
class HandlerOperation final : public Base {
public:
    template <class... Arguments>
    [[nodiscard]] static HandlerOperation* create(Loop& loop, Handler&& handler, Arguments&&... arguments)
    {
        void* memory = loop.allocate(sizeof(HandlerOperation));
        return new (memory) HandlerOperation{loop, std::move(handler), std::forward<Arguments>(arguments)...};
    }

    /// Connects the handler's cancellation slot, when the operation is still pending after it was started.
    void connect_slot()
    {
        auto slot = boost::asio::get_associated_cancellation_slot(handler_);
        if (this->pending() && slot.is_connected()) {
            slot.template emplace<Canceller>(*this);
        }
    }

private:
    struct Canceller {
        explicit Canceller(Operation& target) noexcept : operation{target} {}
        void operator()(boost::asio::cancellation_type_t type) const noexcept
        {
            using boost::asio::cancellation_type;
            // Nothing has been consumed while it is pending, so every kind of cancellation can be granted.
            if ((type & (cancellation_type::terminal | cancellation_type::partial | cancellation_type::total)) !=
                cancellation_type::none) {
                operation.cancel();
            }
        }
        Operation& operation;
    };

    template <class... Arguments>
    HandlerOperation(Loop& loop, Handler&& handler, Arguments&&... arguments)
        : Base{loop, &HandlerOperation::finish, std::forward<Arguments>(arguments)...}, handler_{std::move(handler)}
    {
    }
    ~HandlerOperation() = default;

    static void finish(Task* task, bool run)
    {
        auto* self = static_cast<HandlerOperation*>(task);
        Loop& loop = self->loop_;
        auto slot = boost::asio::get_associated_cancellation_slot(self->handler_);
        if (slot.is_connected()) {
            slot.clear();
        }
        auto executor = boost::asio::get_associated_executor(self->handler_, loop.get_executor());
        Handler handler{std::move(self->handler_)};
        auto result = self->result();
        self->~HandlerOperation();
        loop.deallocate(self, sizeof(HandlerOperation));
        if (!run) {
            return;
        }
        if constexpr (std::is_same_v<decltype(executor), Executor>) {
            if (executor == loop.get_executor()) {
                std::apply(std::move(handler), std::move(result));
                return;
            }
        }
        boost::asio::dispatch(executor, [handler = std::move(handler), result = std::move(result)]() mutable {
            std::apply(std::move(handler), std::move(result));
        });
    }

    Handler handler_;
};

} // namespace sluice::tcp
