#include "engine_callbacks.hpp"

#include "server_state.hpp"

#include <algorithm>
#include <cstring>

namespace sluice::tls {
namespace {

constexpr int suspend = -1;
constexpr int proceed = 1;
constexpr int refuse = 0;

} // namespace

int EngineCallbacks::choose_certificate(SSL* ssl, void* argument)
{
    auto& engine = *static_cast<Engine*>(SSL_get_app_data(ssl));
    if (!engine.private_key_admitted_) {
        return suspend;
    }
    engine.private_key_admitted_ = false; // A hello retry comes through here twice, and only the second one signs.
    const auto& state = *static_cast<const ServerContext::State*>(argument);
    for (const std::uint32_t index : state.names.find(engine.server_name())) {
        const LoadedCertificate& chosen = state.certificates[index];
        if (SSL_use_cert_and_key(ssl, chosen.certificate.get(), chosen.key.get(), chosen.chain.get(), 1) != 1) {
            return refuse;
        }
    }
    return proceed;
}

int EngineCallbacks::keep_session(SSL* ssl, SSL_SESSION* session)
{
    auto& engine = *static_cast<Engine*>(SSL_get_app_data(ssl));
    engine.session_ = Session{session, &SSL_SESSION_free};
    return 1; // The reference is ours now.
}

int EngineCallbacks::bio_read(BIO* bio, char* into, std::size_t size, std::size_t* moved)
{
    auto& engine = *static_cast<Engine*>(BIO_get_data(bio));
    Engine::Block& input = engine.input_;
    BIO_clear_retry_flags(bio);
    *moved = std::min(size, input.end - input.begin);
    if (*moved == 0) {
        if (!engine.input_ended_) {
            BIO_set_retry_read(bio);
        }
        return 0;
    }
    std::memcpy(into, input.data + input.begin, *moved);
    input.begin += *moved;
    return 1;
}

int EngineCallbacks::bio_write(BIO* bio, const char* from, std::size_t size, std::size_t* moved)
{
    auto& engine = *static_cast<Engine*>(BIO_get_data(bio));
    Engine::Block& output = engine.output_;
    BIO_clear_retry_flags(bio);
    *moved = 0;
    if (output.data == nullptr) {
        output.data = engine.buffers_.acquire();
    }
    if (output.data == nullptr) {
        engine.out_of_buffers_ = true;
        return 0;
    }
    *moved = std::min(size, BufferPool::block_size - output.end);
    if (*moved == 0) {
        BIO_set_retry_write(bio);
        return 0;
    }
    std::memcpy(output.data + output.end, from, *moved);
    output.end += *moved;
    return 1;
}

long EngineCallbacks::bio_control(BIO* bio, int command, long, void*)
{
    const auto& engine = *static_cast<const Engine*>(BIO_get_data(bio));
    switch (command) {
    case BIO_CTRL_FLUSH:
        return 1;
    case BIO_CTRL_EOF:
        return engine.input_ended_ && engine.input_.begin == engine.input_.end ? 1 : 0;
    default:
        return 0;
    }
}

} // namespace sluice::tls
