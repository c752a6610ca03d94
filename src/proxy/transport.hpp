// A connection's bytes, in clear or over TLS: concrete types chosen by a switch. Owner of the loop only.
//
// Reading goes through an Input, which keeps one read outstanding in the background: that is how a connection that
// waits for something else still notices that its peer has gone.
#pragma once

#include <proxy/block_pool.hpp>
#include <proxy/deadline.hpp>
#include <proxy/signal.hpp>
#include <sluice/tcp/awaitable.hpp>
#include <sluice/tcp/stream.hpp>
#include <sluice/tls/stream.hpp>

#include <boost/asio/buffer.hpp>

#include <array>
#include <optional>
#include <string_view>

namespace sluice::proxy {

class Transport {
public:
    using Secure = tls::Stream<tcp::Stream>;
    using Pieces = std::array<boost::asio::const_buffer, 3>;

    [[nodiscard]] static Pieces pieces(std::string_view first, Bytes second = {}, std::string_view third = {}) noexcept
    {
        using boost::asio::buffer;
        return {buffer(first.data(), first.size()), buffer(second.data(), second.size()),
                buffer(third.data(), third.size())};
    }

    explicit Transport(tcp::Stream stream);
    Transport(tcp::Stream stream, std::shared_ptr<const tls::ServerContext> context, tls::BufferPool& buffers,
              tls::HandshakeGate& gate);
    Transport(tcp::Stream stream, std::shared_ptr<const tls::ClientContext> context, std::string_view server_name,
              tls::BufferPool& buffers);
    Transport(const Transport&) = delete;
    Transport& operator=(const Transport&) = delete;
    /// No operation may be outstanding.
    ~Transport() = default;

    [[nodiscard]] tcp::Loop& loop() noexcept { return tcp().get_executor().context(); }
    [[nodiscard]] tcp::Stream& tcp() noexcept { return secure_ ? secure_->next_layer() : *plain_; }
    [[nodiscard]] Secure* secure() noexcept { return secure_ ? &*secure_ : nullptr; }

    /// TLS only; `total` bounds it: operation_aborted then, and timed_out() is true.
    [[nodiscard]] tcp::Awaitable<tcp::ErrorCode> handshake(Duration total);
    /// Writes all of the pieces; `stall` is the longest time without progress.
    [[nodiscard]] tcp::Awaitable<tcp::ErrorCode> write(Pieces rest, Duration stall);
    [[nodiscard]] tcp::Awaitable<tcp::ErrorCode> write(std::string_view text, Duration stall);
    /// close_notify if TLS, then FIN; reading goes on.
    [[nodiscard]] tcp::Awaitable<void> shutdown_send(Duration total);
    /// The last handshake, write or shutdown ended because of its time.
    [[nodiscard]] bool timed_out() const noexcept { return write_deadline_.expired(); }

    /// Of the write under way.
    [[nodiscard]] Deadline& write_deadline() noexcept { return write_deadline_; }

    void cancel() noexcept { tcp().cancel(); }
    void close() noexcept { tcp().close(); }
    void abort() noexcept { tcp().abort(); }

private:
    static void on_deadline(void* self) noexcept { static_cast<Transport*>(self)->cancel(); }

    std::optional<tcp::Stream> plain_;
    std::optional<Secure> secure_;
    Deadline write_deadline_;
};

/// What has arrived and was not consumed yet; no memory while there is nothing. In clear it stays in the block that TCP
/// assembled it in; what TLS has decrypted goes to a block of the proxy's.
class Input final : private BlockWaiter {
public:
    /// Called when bytes came while nobody was awaiting them, or when the input has ended.
    class Watcher {
    public:
        virtual void input_changed() noexcept = 0;
        /// Called when the deadline passes, or wake() is called, while nobody is awaiting more().
        virtual void input_woken() noexcept {}

    protected:
        ~Watcher() = default;
    };

    Input(Transport& transport, BlockPool& blocks) noexcept;
    Input(const Input&) = delete;
    Input& operator=(const Input&) = delete;
    ~Input() override = default; ///< stopped() must have completed.

    /// The first piece; empty when there is nothing. Valid until consume() or more().
    [[nodiscard]] Bytes data() const noexcept
    {
        return block_ ? Bytes{block_.get() + begin_, end_ - begin_} : received_.data();
    }
    void consume(std::size_t bytes) noexcept;
    /// All that is there.
    void discard() noexcept
    {
        while (!data().empty()) {
            consume(data().size());
        }
    }
    /// The peer sends no more: eof, or what error() says.
    [[nodiscard]] bool ended() const noexcept { return ended_; }
    [[nodiscard]] const tcp::ErrorCode& error() const noexcept { return error_; }

    /// Completes when there is more data, the input has ended, the deadline has passed, or wake() was called. data()
    /// should be empty, or a few bytes that are not understood yet.
    [[nodiscard]] tcp::Awaitable<void> more();
    /// Of more(); one that was set earlier keeps running.
    [[nodiscard]] Deadline& deadline() noexcept { return deadline_; }
    void wake() noexcept
    {
        changed_.notify();
        woken_ = true;
        if (!awaited_ && watcher_ != nullptr) {
            watcher_->input_woken();
        }
    }

    /// A read is outstanding: this must not be destroyed.
    [[nodiscard]] bool busy() const noexcept { return reading_; }
    /// While set, reading goes on in the background as long as there is room.
    void watch(Watcher* watcher) noexcept;
    /// Cancels the outstanding read and waits for its end. The transport must be cancelled or closed already.
    [[nodiscard]] tcp::Awaitable<void> stopped();
    /// The transport was aborted: does not wait for a block any more.
    void abandon() noexcept;

private:
    void block_returned() noexcept override { take_block_and_read(); }
    void take_block_and_read() noexcept;
    [[nodiscard]] std::size_t size() const noexcept { return end_ - begin_ + received_.size(); }
    void start() noexcept;
    void release() noexcept;
    void end(const tcp::ErrorCode& error) noexcept;
    void changed(bool goes_on) noexcept;
    // In clear
    [[nodiscard]] bool take() noexcept;
    void wait() noexcept;
    void on_wait(const tcp::ErrorCode& error) noexcept;
    // Over TLS
    void start_secure() noexcept;
    void wait_readable() noexcept;
    void read() noexcept;
    void on_read(const tcp::ErrorCode& error, std::size_t bytes) noexcept;

    Transport& transport_;
    BlockPool& blocks_;
    tcp::Received received_;
    BlockPool::Block block_;
    std::size_t begin_ = 0;
    std::size_t end_ = 0;
    Signal changed_;
    Deadline deadline_;
    Watcher* watcher_ = nullptr;
    tcp::ErrorCode error_;
    bool reading_ = false;
    bool awaited_ = false;
    bool woken_ = false;
    bool ended_ = false;
};

} // namespace sluice::proxy
