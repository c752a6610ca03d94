// One TLS connection without input or output: bytes of the peer go in, bytes for the peer come out. Stream drives it
// over a transport; unit tests and fuzzers drive it by hand.
//
// Belongs to one core. Holds no buffer while idle: blocks are borrowed from the core's BufferPool while records are in
// flight.
#pragma once

#include <sluice/base/bytes.hpp>
#include <sluice/tls/buffer_pool.hpp>
#include <sluice/tls/context.hpp>
#include <sluice/tls/error.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

struct ssl_st;
struct ssl_session_st;

namespace sluice::tls {

enum class Status : std::uint8_t {
    ok,               ///< Done, or some bytes moved.
    want_input,       ///< Nothing more without bytes of the peer: fill input_space(), or say input_ended().
    want_output,      ///< The output must be drained first.
    want_private_key, ///< The next step signs with the private key: call admit_private_key(), then handshake() again.
    closed,           ///< The peer sent close_notify: no more data.
    failed,           ///< See error(). Output may hold a last alert to send.
};

struct Transfer {
    Status status = Status::ok;
    std::size_t bytes = 0;
};

/// A session that a later connection of the same ClientContext may resume.
using Session = std::shared_ptr<ssl_session_st>;

class Engine {
public:
    Engine(std::shared_ptr<const ServerContext> context, BufferPool& buffers);
    /// `server_name` goes into SNI and is what the certificate must be valid for; empty: neither.
    Engine(std::shared_ptr<const ClientContext> context, std::string_view server_name, BufferPool& buffers);
    ~Engine();
    Engine(const Engine&) = delete;
    Engine& operator=(const Engine&) = delete;

    // From the peer.

    /// Where to receive into; empty when the BufferPool is exhausted (then error() says so) or the input is full.
    [[nodiscard]] MutableBytes input_space() noexcept;
    void input_filled(std::size_t bytes) noexcept;
    /// Gives back the space of a receive that will not happen.
    void input_abandoned() noexcept;
    /// The transport has ended.
    void input_ended() noexcept { input_ended_ = true; }
    /// Copies as much as fits into the input; returns how much that was.
    std::size_t feed(Bytes bytes) noexcept;
    /// Bytes were received or decrypted that no read has taken yet: reading again may succeed without the transport.
    [[nodiscard]] bool input_pending() const noexcept;

    // For the peer.

    [[nodiscard]] Bytes output() const noexcept;
    void output_consumed(std::size_t bytes) noexcept;

    // The connection.

    /// ok: complete. Drain output() whatever the status is.
    [[nodiscard]] Status handshake() noexcept;
    void admit_private_key() noexcept { private_key_admitted_ = true; }
    /// ok with bytes > 0, else want_input, closed or failed. Fills as much of `into` as records are at hand.
    [[nodiscard]] Transfer read(MutableBytes into) noexcept;
    /// ok with bytes > 0 (at most one record), else want_output or failed.
    [[nodiscard]] Transfer write(Bytes from) noexcept;
    /// Queues close_notify; ok or want_output.
    [[nodiscard]] Status shutdown() noexcept;

    // What became of it.

    [[nodiscard]] boost::system::error_code error() const noexcept { return error_; }
    /// OpenSSL's own words for error(); empty when it has none. A static string.
    [[nodiscard]] std::string_view error_detail() const noexcept { return detail_; }
    /// What a peer sent that does not speak TLS; valid until the next call of a member that takes input.
    [[nodiscard]] Bytes bytes_in_clear() const noexcept;
    [[nodiscard]] bool handshake_complete() const noexcept { return handshake_complete_; }
    [[nodiscard]] std::string_view server_name() const noexcept; ///< SNI; empty when there is none.
    [[nodiscard]] std::string_view alpn() const noexcept;        ///< "h2", "http/1.1", or empty.
    [[nodiscard]] std::string_view version() const noexcept;     ///< "TLSv1.3".
    [[nodiscard]] std::string_view cipher() const noexcept;      ///< The IANA name.
    [[nodiscard]] bool resumed() const noexcept;
    [[nodiscard]] std::string peer_fingerprint() const; ///< As CertificateInfo::fingerprint; empty without certificate.

    /// Client: the newest session; null until the server gave a ticket (with TLS 1.3 that is after the handshake).
    [[nodiscard]] Session session() const;
    /// Client: before the handshake.
    void resume(const Session& session) noexcept;

private:
    friend struct EngineCallbacks;
    friend class RecordGatherer;

    /// A borrowed block: bytes [begin, end) of it are waiting.
    struct Block {
        std::byte* data = nullptr;
        std::size_t begin = 0;
        std::size_t end = 0;
    };

    void attach() noexcept;
    void release_if_empty(Block& block) noexcept;
    [[nodiscard]] bool speaks_in_clear() noexcept;
    [[nodiscard]] Status classify(int result) noexcept;
    Status fail(Error error, std::string_view detail = {}) noexcept;

    BufferPool& buffers_;
    std::shared_ptr<const ServerContext> server_;
    std::shared_ptr<const ClientContext> client_;
    ssl_st* ssl_ = nullptr;
    Session session_;
    Block input_;
    Block output_;
    boost::system::error_code error_;
    std::string_view detail_;
    bool input_ended_ = false;
    bool first_byte_seen_ = false;
    bool handshake_complete_ = false;
    bool private_key_admitted_ = false;
    bool in_clear_ = false;
    bool out_of_buffers_ = false;
    bool peer_closed_ = false;
};

/// Collects pieces for one record, so that a header and a short body do not become a record each.
class RecordGatherer {
public:
    explicit RecordGatherer(Engine& engine) noexcept : engine_{engine} {}
    ~RecordGatherer();
    RecordGatherer(const RecordGatherer&) = delete;
    RecordGatherer& operator=(const RecordGatherer&) = delete;

    [[nodiscard]] bool has_room() const noexcept { return !full_; }
    /// Pieces are taken from their beginning; what does not fit is left out.
    void add(Bytes piece) noexcept;
    /// As Engine::write for the pieces added.
    [[nodiscard]] Transfer write() noexcept;

private:
    Engine& engine_;
    Bytes single_;                ///< Until a second piece comes, nothing is copied.
    std::byte* copied_ = nullptr; ///< A borrowed block.
    std::size_t copied_bytes_ = 0;
    bool full_ = false;
};

} // namespace sluice::tls
