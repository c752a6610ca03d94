// TLS over any Asio stream. Models AsyncReadStream and AsyncWriteStream with the executor of the next layer, so all
// that is written for Asio runs over it; costs about 17 KB per idle connection.
//
// Belongs to the core of its executor. One read-like operation (handshake, read, wait) and one write-like operation
// (handshake, write, shutdown) may be outstanding at a time, and none when the stream is destroyed: cancel and await
// them first. Reads and waits can be cancelled without loss (total); after a cancelled handshake, write or shutdown the
// connection is only good for closing.
#pragma once

#include <sluice/tls/detail/operations.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/asio/compose.hpp>

#include <memory>
#include <string_view>
#include <type_traits>
#include <utility>

namespace sluice::tls {

/// `Next` is a stream or a reference to one. Where it offers async_wait_readable(token) (a `void(error_code)` operation
/// that completes when a read would not wait), an idle connection holds no receive buffer.
template <class Next>
class Stream {
    using Core = detail::StreamCore<Next>;

public:
    using next_layer_type = std::remove_reference_t<Next>;
    using executor_type = typename next_layer_type::executor_type;
    using lowest_layer_type = next_layer_type;

    /// Server. Without a gate private-key operations happen as handshakes need them.
    template <class Layer>
    Stream(Layer&& next, std::shared_ptr<const ServerContext> context, BufferPool& buffers,
           HandshakeGate* gate = nullptr)
        : core_{std::make_unique<Core>(std::forward<Layer>(next), gate, std::move(context), buffers)}
    {
    }
    /// Client. `server_name` as for Engine.
    template <class Layer>
    Stream(Layer&& next, std::shared_ptr<const ClientContext> context, std::string_view server_name,
           BufferPool& buffers)
        : core_{std::make_unique<Core>(std::forward<Layer>(next), nullptr, std::move(context), server_name, buffers)}
    {
    }

    [[nodiscard]] executor_type get_executor() noexcept { return core_->next.get_executor(); }
    [[nodiscard]] next_layer_type& next_layer() noexcept { return core_->next; }
    [[nodiscard]] const next_layer_type& next_layer() const noexcept { return core_->next; }
    [[nodiscard]] lowest_layer_type& lowest_layer() noexcept { return core_->next; }
    [[nodiscard]] const lowest_layer_type& lowest_layer() const noexcept { return core_->next; }

    /// `void(error_code)`. Fails with Error or an error of the next layer; a last alert was sent if it could be.
    template <class Token>
    auto async_handshake(Token&& token)
    {
        return compose<void(boost::system::error_code)>(detail::Operation<Next, detail::Handshake>{*core_, {}},
                                                        std::forward<Token>(token));
    }

    /// `void(error_code, std::size_t)`. asio::error::eof after close_notify, Error::truncated when the transport just
    /// ended.
    template <class Buffers, class Token>
    auto async_read_some(const Buffers& buffers, Token&& token)
    {
        return compose<void(boost::system::error_code, std::size_t)>(
            detail::Operation<Next, detail::Read<Buffers>>{*core_, {buffers}}, std::forward<Token>(token));
    }

    /// `void(error_code, std::size_t)`. Encrypts at most one record and completes when the next layer took it.
    template <class Buffers, class Token>
    auto async_write_some(const Buffers& buffers, Token&& token)
    {
        return compose<void(boost::system::error_code, std::size_t)>(
            detail::Operation<Next, detail::Write<Buffers>>{*core_, {buffers}}, std::forward<Token>(token));
    }

    /// `void(error_code)`. Completes when bytes of the peer are at hand; a read may still have to wait for the rest of
    /// a record.
    template <class Token>
    auto async_wait_readable(Token&& token)
    {
        return compose<void(boost::system::error_code)>(detail::Operation<Next, detail::WaitReadable>{*core_, {}},
                                                        std::forward<Token>(token));
    }

    /// `void(error_code)`. Sends close_notify and whatever else waits to be sent, an alert for instance; does not wait
    /// for the peer's. The next layer stays open.
    template <class Token>
    auto async_shutdown(Token&& token)
    {
        return compose<void(boost::system::error_code)>(detail::Operation<Next, detail::Shutdown>{*core_, {}},
                                                        std::forward<Token>(token));
    }

    [[nodiscard]] bool handshake_complete() const noexcept { return core_->engine.handshake_complete(); }
    [[nodiscard]] std::string_view server_name() const noexcept
    {
        return core_->engine.server_name();
    } ///< SNI, or empty.
    [[nodiscard]] std::string_view alpn() const noexcept
    {
        return core_->engine.alpn();
    } ///< "h2", "http/1.1", or empty.
    [[nodiscard]] std::string_view version() const noexcept { return core_->engine.version(); }
    [[nodiscard]] std::string_view cipher() const noexcept { return core_->engine.cipher(); }
    [[nodiscard]] bool resumed() const noexcept { return core_->engine.resumed(); }
    /// After Error::http_request or Error::not_tls: what the peer sent. To answer, write to next_layer().
    [[nodiscard]] Bytes bytes_in_clear() const noexcept { return core_->engine.bytes_in_clear(); }
    /// Words for the log beside an error; static, may be empty.
    [[nodiscard]] std::string_view error_detail() const noexcept { return core_->engine.error_detail(); }
    [[nodiscard]] Engine& engine() noexcept { return core_->engine; }
    [[nodiscard]] const Engine& engine() const noexcept { return core_->engine; }

private:
    template <class Signature, class Operation, class Token>
    auto compose(Operation operation, Token&& token)
    {
        return boost::asio::async_compose<Token, Signature>(std::move(operation), token, core_->next);
    }

    std::unique_ptr<Core> core_; ///< Operations refer to it; it stays where it is when the stream moves.
};

} // namespace sluice::tls
