#include <sluice/tls/engine.hpp>

#include "certificate_info.hpp"
#include "engine_callbacks.hpp"
#include "server_state.hpp"

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <cstring>
#include <utility>

namespace sluice::tls {
namespace {

constexpr std::size_t record_content = 16384; // RFC 8446, section 5.1.
/// Header, explicit nonce, tag and content type of any cipher suite we offer come to 30 bytes.
constexpr std::size_t record_overhead = 64;
/// Kept free beside a full record for what reading may have to answer (KeyUpdate) while that record leaves.
constexpr std::size_t control_reserve = 512;
static_assert(record_content + record_overhead + control_reserve <= BufferPool::block_size);

constexpr std::size_t gather_below = 4096; // A longer first piece is worth a record of its own.

BIO_METHOD* create_method()
{
    BIO_METHOD* method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "sluice engine");
    BIO_meth_set_read_ex(method, &EngineCallbacks::bio_read);
    BIO_meth_set_write_ex(method, &EngineCallbacks::bio_write);
    BIO_meth_set_ctrl(method, &EngineCallbacks::bio_control);
    return method;
}

const BIO_METHOD* engine_method()
{
    static BIO_METHOD* const method = create_method();
    return method;
}

Error error_of(unsigned long code, bool handshake_complete) noexcept
{
    const int reason = ERR_GET_REASON(code);
    if (ERR_GET_LIB(code) == ERR_LIB_SSL) {
        switch (reason) {
        case SSL_R_UNSUPPORTED_PROTOCOL:
        case SSL_R_VERSION_TOO_LOW:
        case SSL_R_WRONG_SSL_VERSION:
        case SSL_R_WRONG_VERSION_NUMBER:
            return handshake_complete ? Error::protocol_violation : Error::unsupported_version;
        case SSL_R_NO_SHARED_CIPHER:
        case SSL_R_NO_SHARED_GROUPS:
        case SSL_R_NO_SUITABLE_GROUPS:
        case SSL_R_NO_SUITABLE_KEY_SHARE:
        case SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM:
        case SSL_R_NO_APPLICATION_PROTOCOL:
            return Error::no_shared_cipher;
        case SSL_R_CERTIFICATE_VERIFY_FAILED:
            return Error::certificate_rejected;
        case SSL_R_UNEXPECTED_EOF_WHILE_READING:
            return Error::truncated;
        default:
            break;
        }
        if (reason > SSL_AD_REASON_OFFSET) {
            return Error::alert_received;
        }
    }
    return handshake_complete ? Error::protocol_violation : Error::handshake_failed;
}

bool is_address(const std::string& name) noexcept
{
    std::unique_ptr<ASN1_OCTET_STRING, Releaser<ASN1_OCTET_STRING_free>> address{a2i_IPADDRESS(name.c_str())};
    return address != nullptr;
}

} // namespace

Engine::Engine(std::shared_ptr<const ServerContext> context, BufferPool& buffers)
    : buffers_{buffers}, server_{std::move(context)}, ssl_{SSL_new(server_->state().context.get())}
{
    attach();
    if (ssl_ != nullptr) {
        SSL_set_accept_state(ssl_);
    }
}

Engine::Engine(std::shared_ptr<const ClientContext> context, std::string_view server_name, BufferPool& buffers)
    : buffers_{buffers}, client_{std::move(context)}, ssl_{SSL_new(client_->native())}
{
    attach();
    if (ssl_ == nullptr) {
        return;
    }
    SSL_set_connect_state(ssl_);
    const std::string name{server_name};
    const bool address = is_address(name);
    ERR_clear_error();
    if (!name.empty() && !address) {
        SSL_set_tlsext_host_name(ssl_, name.c_str()); // RFC 6066, section 3: no literal addresses in SNI.
    }
    if (!name.empty() && client_->verifies()) {
        if (address) {
            X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl_), name.c_str());
        } else {
            SSL_set1_host(ssl_, name.c_str());
        }
    }
}

Engine::~Engine()
{
    if (ssl_ != nullptr) {
        // Without this a connection that just ended would make its session unfit for resumption.
        SSL_set_shutdown(ssl_, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
        SSL_free(ssl_);
    }
    for (const Block* block : {&input_, &output_}) {
        if (block->data != nullptr) {
            buffers_.release(block->data);
        }
    }
}

void Engine::attach() noexcept
{
    BIO* bio = ssl_ != nullptr ? BIO_new(engine_method()) : nullptr;
    if (bio == nullptr) {
        SSL_free(ssl_);
        ssl_ = nullptr;
        fail(Error::out_of_buffers, "OpenSSL is out of memory");
        return;
    }
    BIO_set_data(bio, this);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl_, bio, bio);
    SSL_set_app_data(ssl_, this);
}

// Input and output.

MutableBytes Engine::input_space() noexcept
{
    if (input_.data == nullptr) {
        input_.data = buffers_.acquire();
    }
    if (input_.data == nullptr) {
        fail(Error::out_of_buffers);
        return {};
    }
    if (input_.begin == input_.end) {
        input_.begin = input_.end = 0;
    }
    return {input_.data + input_.end, BufferPool::block_size - input_.end};
}

void Engine::input_filled(std::size_t bytes) noexcept { input_.end += bytes; }

void Engine::input_abandoned() noexcept { release_if_empty(input_); }

std::size_t Engine::feed(Bytes bytes) noexcept
{
    const MutableBytes space = input_space();
    const std::size_t count = std::min(space.size(), bytes.size());
    std::copy_n(bytes.begin(), count, space.begin());
    input_filled(count);
    release_if_empty(input_);
    return count;
}

bool Engine::input_pending() const noexcept
{
    return input_.begin != input_.end || input_ended_ || peer_closed_ || error_ ||
           (ssl_ != nullptr && SSL_pending(ssl_) > 0);
}

Bytes Engine::output() const noexcept { return {output_.data + output_.begin, output_.end - output_.begin}; }

void Engine::output_consumed(std::size_t bytes) noexcept
{
    output_.begin += bytes;
    release_if_empty(output_);
}

void Engine::release_if_empty(Block& block) noexcept
{
    if (block.data != nullptr && block.begin == block.end) {
        buffers_.release(block.data);
        block = {};
    }
}

// The connection.

bool Engine::speaks_in_clear() noexcept
{
    if (client_ || first_byte_seen_ || input_.begin == input_.end) {
        return false;
    }
    first_byte_seen_ = true;
    const auto first = std::to_integer<unsigned char>(input_.data[input_.begin]);
    const bool record = first >= 0x14 && first <= 0x18; // RFC 8446, section 5.1: ContentType.
    const bool letter = (first >= 'A' && first <= 'Z') || (first >= 'a' && first <= 'z');
    if (!record) {
        in_clear_ = true;
        fail(letter ? Error::http_request : Error::not_tls);
    }
    return !record;
}

Status Engine::handshake() noexcept
{
    if (error_ || speaks_in_clear()) {
        return Status::failed;
    }
    ERR_clear_error();
    const int result = SSL_do_handshake(ssl_);
    handshake_complete_ = result == 1;
    const Status status = result == 1 ? Status::ok : classify(result);
    release_if_empty(input_);
    return status;
}

Transfer Engine::read(MutableBytes into) noexcept
{
    std::size_t total = 0;
    Status status = error_ ? Status::failed : peer_closed_ ? Status::closed : Status::ok;
    while (status == Status::ok && total < into.size()) {
        std::size_t count = 0;
        ERR_clear_error();
        const int result = SSL_read_ex(ssl_, into.data() + total, into.size() - total, &count);
        total += count;
        status = result == 1 ? Status::ok : classify(result);
    }
    release_if_empty(input_);
    if (status == Status::want_output) { // The reserve is used up: somebody makes us answer and does not listen.
        status = fail(Error::protocol_violation, "too many control messages");
    }
    return total > 0 ? Transfer{Status::ok, total} : Transfer{status, 0};
}

Transfer Engine::write(Bytes from) noexcept
{
    if (error_) {
        return {Status::failed, 0};
    }
    const std::size_t size = std::min(from.size(), record_content);
    if (size == 0) {
        return {};
    }
    if (BufferPool::block_size - output_.end < size + record_overhead + control_reserve) {
        return {Status::want_output, 0};
    }
    std::size_t count = 0;
    ERR_clear_error();
    const int result = SSL_write_ex(ssl_, from.data(), size, &count);
    return result == 1 ? Transfer{Status::ok, count} : Transfer{classify(result), 0};
}

Status Engine::shutdown() noexcept
{
    if (error_ || !handshake_complete_ || (SSL_get_shutdown(ssl_) & SSL_SENT_SHUTDOWN) != 0) {
        return Status::ok; // Nothing to say, or said already; an alert of the failure is in the output.
    }
    ERR_clear_error();
    const int result = SSL_shutdown(ssl_);
    return result >= 0 ? Status::ok : classify(result);
}

Status Engine::classify(int result) noexcept
{
    switch (SSL_get_error(ssl_, result)) {
    case SSL_ERROR_WANT_READ:
        return Status::want_input;
    case SSL_ERROR_WANT_WRITE:
        return Status::want_output;
    case SSL_ERROR_WANT_X509_LOOKUP:
        return Status::want_private_key;
    case SSL_ERROR_ZERO_RETURN:
        peer_closed_ = true;
        return Status::closed;
    default:
        break;
    }
    if (out_of_buffers_) {
        return fail(Error::out_of_buffers);
    }
    const unsigned long code = ERR_peek_error();
    const Error error = code == 0 && input_ended_ ? Error::truncated : error_of(code, handshake_complete_);
    const char* reason = error == Error::certificate_rejected
                             ? X509_verify_cert_error_string(SSL_get_verify_result(ssl_))
                             : ERR_reason_error_string(code);
    ERR_clear_error();
    return fail(error, reason != nullptr ? std::string_view{reason} : std::string_view{});
}

Status Engine::fail(Error error, std::string_view detail) noexcept
{
    error_ = error;
    detail_ = detail;
    return Status::failed;
}

// What became of it.

Bytes Engine::bytes_in_clear() const noexcept
{
    return in_clear_ ? Bytes{input_.data + input_.begin, input_.end - input_.begin} : Bytes{};
}

std::string_view Engine::server_name() const noexcept
{
    const char* name = ssl_ != nullptr ? SSL_get_servername(ssl_, TLSEXT_NAMETYPE_host_name) : nullptr;
    return name != nullptr ? std::string_view{name} : std::string_view{};
}

std::string_view Engine::alpn() const noexcept
{
    const unsigned char* protocol = nullptr;
    unsigned int size = 0;
    if (ssl_ != nullptr) {
        SSL_get0_alpn_selected(ssl_, &protocol, &size);
    }
    return {reinterpret_cast<const char*>(protocol), size};
}

std::string_view Engine::version() const noexcept { return ssl_ != nullptr ? SSL_get_version(ssl_) : ""; }

std::string_view Engine::cipher() const noexcept
{
    const SSL_CIPHER* cipher = ssl_ != nullptr ? SSL_get_current_cipher(ssl_) : nullptr;
    return cipher != nullptr ? std::string_view{SSL_CIPHER_standard_name(cipher)} : std::string_view{};
}

bool Engine::resumed() const noexcept { return ssl_ != nullptr && SSL_session_reused(ssl_) == 1; }

std::string Engine::peer_fingerprint() const
{
    const X509* certificate = ssl_ != nullptr ? SSL_get0_peer_certificate(ssl_) : nullptr;
    return certificate != nullptr ? fingerprint(*certificate) : std::string{};
}

Session Engine::session() const
{
    if (session_ == nullptr && client_ && handshake_complete_ && SSL_version(ssl_) == TLS1_2_VERSION) {
        // OpenSSL does not announce the ticket that a resumed TLS 1.2 handshake renews.
        return Session{SSL_get1_session(ssl_), &SSL_SESSION_free};
    }
    return session_;
}

void Engine::resume(const Session& session) noexcept
{
    if (ssl_ != nullptr && session != nullptr) {
        SSL_set_session(ssl_, session.get());
    }
}

// RecordGatherer.

RecordGatherer::~RecordGatherer()
{
    if (copied_ != nullptr) {
        engine_.buffers_.release(copied_);
    }
}

void RecordGatherer::add(Bytes piece) noexcept
{
    if (piece.empty()) {
        return;
    }
    if (single_.empty()) {
        single_ = piece;
        full_ = piece.size() >= gather_below;
        return;
    }
    if (copied_ == nullptr) {
        copied_ = engine_.buffers_.acquire();
        if (copied_ == nullptr) {
            full_ = true;
            return;
        }
        std::memcpy(copied_, single_.data(), single_.size());
        copied_bytes_ = single_.size();
    }
    const std::size_t count = std::min(piece.size(), record_content - copied_bytes_);
    std::memcpy(copied_ + copied_bytes_, piece.data(), count);
    copied_bytes_ += count;
    full_ = copied_bytes_ == record_content;
}

Transfer RecordGatherer::write() noexcept
{
    return engine_.write(copied_ != nullptr ? Bytes{copied_, copied_bytes_} : single_);
}

} // namespace sluice::tls
