// Immutable TLS configuration of one listener (ServerContext) or of connections we open (ClientContext). Built by the
// control thread, shared by all workers and by the connections that were accepted with it, freed with the last of them.
#pragma once

#include <sluice/base/result.hpp>
#include <sluice/tls/certificate.hpp>
#include <sluice/tls/load_error.hpp>
#include <sluice/tls/ticket_keys.hpp>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

struct ssl_ctx_st;

namespace sluice::tls {

enum class Version : std::uint8_t { tls1_2, tls1_3 };

/// A file, or its content when `content` is not empty; `path` then only names it in errors.
struct PemSource {
    std::string path = {};
    std::string content = {};
};

struct CertificateSource {
    PemSource certificate; ///< The certificate, then the intermediates in order.
    PemSource key;         ///< Unencrypted PEM; a file must not be readable by other users.
};

struct ServerOptions {
    /// Chosen by SNI, exact names before wildcards; the first answers everything else. RSA and EC certificates of the
    /// same names complement each other.
    std::vector<CertificateSource> certificates;
    Version min_version = Version::tls1_2;
    std::vector<std::string> alpn = {"h2", "http/1.1"}; ///< In order of preference; empty: ALPN is ignored.
    std::chrono::seconds session_lifetime = std::chrono::hours{4};
};

/// Thread-safe once created.
class ServerContext {
public:
    /// Reads files: control thread only. Every error names the file and, where there is one, the command that mends it.
    [[nodiscard]] static Expected<std::shared_ptr<const ServerContext>, LoadError>
    create(const ServerOptions& options, std::shared_ptr<const TicketKeys> ticket_keys);

    ~ServerContext();
    ServerContext(const ServerContext&) = delete;
    ServerContext& operator=(const ServerContext&) = delete;

    /// In the order of ServerOptions::certificates.
    [[nodiscard]] const std::vector<CertificateInfo>& certificates() const noexcept;
    /// The indices into certificates() that answer a client that asks for `server_name`; never empty.
    [[nodiscard]] std::vector<std::size_t> select(std::string_view server_name) const;

    struct State;
    [[nodiscard]] const State& state() const noexcept { return *state_; } ///< For Engine.

private:
    explicit ServerContext(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

struct ClientOptions {
    bool verify = true;       ///< Chain and name; false for health probes of servers with private certificates.
    std::string ca_file = {}; ///< Trust these PEM certificates; empty: the system's.
    std::vector<std::string> alpn = {"http/1.1"};
    Version min_version = Version::tls1_2;
    Version max_version = Version::tls1_3;
};

/// Thread-safe once created.
class ClientContext {
public:
    /// Reads files: control thread only.
    [[nodiscard]] static Expected<std::shared_ptr<const ClientContext>, LoadError> create(const ClientOptions& options);

    ~ClientContext();
    ClientContext(const ClientContext&) = delete;
    ClientContext& operator=(const ClientContext&) = delete;

    [[nodiscard]] bool verifies() const noexcept { return verify_; }
    [[nodiscard]] ssl_ctx_st* native() const noexcept { return context_; } ///< For Engine.

private:
    ClientContext(ssl_ctx_st* context, bool verify) noexcept : context_{context}, verify_{verify} {}
    ssl_ctx_st* context_;
    bool verify_;
};

} // namespace sluice::tls
