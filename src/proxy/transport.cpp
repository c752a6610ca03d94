#include <proxy/transport.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/error.hpp>

#include <utility>

namespace sluice::proxy {
namespace {

constexpr auto as_result = boost::asio::as_tuple(tcp::use_awaitable);

/// Drops what was written from the front.
void advance(Transport::Pieces& pieces, std::size_t written) noexcept
{
    for (auto& piece : pieces) {
        const std::size_t part = std::min(written, piece.size());
        piece += part;
        written -= part;
    }
}

} // namespace

Transport::Transport(tcp::Stream stream)
    : plain_{std::move(stream)}, write_deadline_{plain_->get_executor().context(), &Transport::on_deadline, this}
{
}

Transport::Transport(tcp::Stream stream, std::shared_ptr<const tls::ServerContext> context, tls::BufferPool& buffers,
                     tls::HandshakeGate& gate)
    : secure_{std::in_place, std::move(stream), std::move(context), buffers, &gate},
      write_deadline_{secure_->get_executor().context(), &Transport::on_deadline, this}
{
}

Transport::Transport(tcp::Stream stream, std::shared_ptr<const tls::ClientContext> context,
                     std::string_view server_name, tls::BufferPool& buffers)
    : secure_{std::in_place, std::move(stream), std::move(context), server_name, buffers},
      write_deadline_{secure_->get_executor().context(), &Transport::on_deadline, this}
{
}

tcp::Awaitable<tcp::ErrorCode> Transport::handshake(Duration total)
{
    write_deadline_.expires_after(total);
    auto [error] = co_await secure_->async_handshake(as_result);
    write_deadline_.off();
    co_return error;
}

tcp::Awaitable<tcp::ErrorCode> Transport::write(Pieces rest, Duration stall)
{
    while (boost::asio::buffer_size(rest) != 0) {
        write_deadline_.expires_after(stall);
        std::tuple<tcp::ErrorCode, std::size_t> result;
        if (secure_) {
            result = co_await secure_->async_write_some(rest, as_result);
        } else {
            result = co_await plain_->async_write_some(rest, as_result);
        }
        const auto& [error, written] = result;
        write_deadline_.off();
        if (error) {
            co_return error;
        }
        advance(rest, written);
    }
    co_return tcp::ErrorCode{};
}

tcp::Awaitable<tcp::ErrorCode> Transport::write(std::string_view text, Duration stall)
{
    const Pieces all = pieces(text);
    co_return co_await write(all, stall);
}

tcp::Awaitable<void> Transport::shutdown_send(Duration total)
{
    if (secure_ && secure_->handshake_complete()) {
        write_deadline_.expires_after(total);
        co_await secure_->async_shutdown(as_result);
        write_deadline_.off();
    }
    tcp().shutdown_send();
}

Input::Input(Transport& transport, BlockPool& blocks) noexcept
    : transport_{transport}, blocks_{blocks}, changed_{transport.loop()},
      deadline_{transport.loop(), [](void* self) noexcept { static_cast<Input*>(self)->wake(); }, this}
{
}

void Input::consume(std::size_t bytes) noexcept
{
    if (transport_.secure() == nullptr) {
        received_.consume(bytes);
        if (ended_ && received_.empty()) {
            static_cast<void>(transport_.tcp().take(received_)); // What had arrived before the end was known
        }
        return;
    }
    begin_ += bytes;
    if (begin_ == end_ && !reading_) {
        begin_ = end_ = 0;
    }
}

tcp::Awaitable<void> Input::more()
{
    const std::size_t before = size();
    awaited_ = true;
    woken_ = false;
    start();
    while (reading_ && size() == before && !ended_ && !deadline_.expired() && !woken_) {
        co_await changed_.wait();
    }
    awaited_ = false;
}

void Input::watch(Watcher* watcher) noexcept
{
    watcher_ = watcher;
    if (watcher != nullptr) {
        start();
    }
}

void Input::release() noexcept
{
    if (begin_ == end_ && !reading_) {
        block_.reset();
        begin_ = end_ = 0;
    }
}

tcp::Awaitable<void> Input::stopped()
{
    watcher_ = nullptr;
    deadline_.off();
    abandon();
    while (reading_) {
        co_await changed_.wait();
    }
}

void Input::start() noexcept
{
    if (ended_) {
        return;
    }
    if (transport_.secure() != nullptr) {
        start_secure();
    } else if (reading_) {
        if (awaited_ || received_.empty()) {
            transport_.tcp().expect_data();
        }
    } else if (!awaited_ || !take()) {
        wait();
    }
}

void Input::end(const tcp::ErrorCode& error) noexcept
{
    // A cancelled wait has lost nothing; whoever cancelled knows why and decides what comes next.
    ended_ = error != boost::asio::error::operation_aborted || !transport_.tcp().is_open();
    error_ = error;
}

/// Tells whoever waits or watches; a watched input goes on.
void Input::changed(bool goes_on) noexcept
{
    const bool nobody_awaits = !awaited_;
    changed_.notify();
    if (watcher_ != nullptr) {
        if (nobody_awaits) {
            watcher_->input_changed();
        }
        if (watcher_ != nullptr && goes_on) {
            start();
        }
    }
}

bool Input::take() noexcept
{
    tcp::Stream& stream = transport_.tcp();
    if (stream.buffers_scarce()) [[unlikely]] {
        blocks_.ask_for_relief();
    }
    return stream.take(received_) != 0;
}

/// With data at hand and nobody who asks for more, only the end is news: the peer's window holds back the rest.
void Input::wait() noexcept
{
    reading_ = true;
    const auto done = [this](const tcp::ErrorCode& error) { on_wait(error); };
    if (received_.empty() || awaited_) {
        transport_.tcp().async_wait_readable(done);
    } else {
        transport_.tcp().async_wait_end(done);
    }
}

void Input::on_wait(const tcp::ErrorCode& error) noexcept
{
    reading_ = false;
    const tcp::Stream& stream = transport_.tcp();
    const bool taken = !error && (received_.empty() || awaited_) && take();
    if (error) {
        end(error);
    } else if (!taken) {
        const tcp::ErrorCode reason = stream.receive_error();
        end(reason ? reason : tcp::ErrorCode{boost::asio::error::no_buffer_space});
    }
    changed(taken);
}

void Input::start_secure() noexcept
{
    if (reading_) {
        return;
    }
    if (begin_ == end_) {
        release();
        reading_ = true;
        wait_readable();
        return;
    }
    if (end_ == BlockPool::block_bytes && begin_ != 0) {
        std::memmove(block_.get(), block_.get() + begin_, end_ - begin_);
        end_ -= std::exchange(begin_, 0);
    }
    if (end_ < BlockPool::block_bytes) {
        reading_ = true;
        read();
    }
}

void Input::wait_readable() noexcept
{
    transport_.secure()->async_wait_readable([this](const tcp::ErrorCode& error) {
        if (error) {
            on_read(error, 0);
            return;
        }
        take_block_and_read();
    });
}

/// Without a block it waits for one: what has arrived stays where it is, and the peer sees a window that does not open.
void Input::take_block_and_read() noexcept
{
    block_ = blocks_.take();
    if (block_) {
        read();
    } else {
        blocks_.wait(*this);
    }
}

void Input::abandon() noexcept
{
    if (is_linked()) {
        unlink();
        on_read(boost::asio::error::operation_aborted, 0);
    }
}

void Input::read() noexcept
{
    const auto room = boost::asio::buffer(block_.get() + end_, BlockPool::block_bytes - end_);
    transport_.secure()->async_read_some(
        room, [this](const tcp::ErrorCode& error, std::size_t bytes) { on_read(error, bytes); });
}

void Input::on_read(const tcp::ErrorCode& error, std::size_t bytes) noexcept
{
    reading_ = false;
    end_ += bytes;
    if (error && bytes == 0) {
        end(error);
    }
    changed(!error);
}

} // namespace sluice::proxy
