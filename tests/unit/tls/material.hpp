// Certificates, contexts and a conversation of two engines for the TLS tests.
#pragma once

#include <sluice/tls/context.hpp>
#include <sluice/tls/engine.hpp>

#include <memory>
#include <string>
#include <vector>

namespace sluice::tls::test {

enum class KeyKind { rsa2048, rsa1024, p256 };

struct Pair {
    std::string certificate; ///< PEM
    std::string key;         ///< PEM
};

/// Self-signed, CN is the first name, SAN are all names (addresses too), valid from an hour ago for `days`.
[[nodiscard]] Pair make_certificate(const std::vector<std::string>& names, KeyKind kind = KeyKind::p256, int days = 30);

/// The certificate of www.example.org, made once.
[[nodiscard]] const Pair& site();

/// An encrypted key in PEM.
[[nodiscard]] std::string encrypt_key(const std::string& key_pem);

[[nodiscard]] CertificateSource source(const Pair& pair);
[[nodiscard]] ServerOptions options(const std::vector<Pair>& pairs);
/// Fails the test when the context cannot be made.
[[nodiscard]] std::shared_ptr<const ServerContext>
server_context(const ServerOptions& options, std::shared_ptr<const TicketKeys> keys = TicketKeys::random());
[[nodiscard]] std::shared_ptr<const ClientContext> client_context(const ClientOptions& options = {.verify = false});

/// Moves bytes both ways until neither side has more to send or say.
struct Conversation {
    Engine& client;
    Engine& server;
    std::size_t chunk = 100'000; ///< At most so many bytes at a time.

    int private_key_operations = 0; ///< How often the server asked to be admitted.
    Status client_status = Status::want_input;
    Status server_status = Status::want_input;

    /// True when both sides completed.
    bool handshake();
    /// What one side sent with write() arrives at the other's input; false when nothing moved.
    bool exchange();
    /// Everything that `to` can read, after `from` has written `text`.
    std::string deliver(Engine& from, Engine& to, const std::string& text);

private:
    bool move(Engine& from, Engine& to) const;
};

[[nodiscard]] std::string read_all(Engine& engine);

} // namespace sluice::tls::test
