// The control socket: a unix stream socket on the control thread's io_context. Clients, requests, answers and waiting
// are all bounded; a client that reads too slowly is cut off, never waited for.
#pragma once

#include <sluice/base/result.hpp>
#include <sluice/control/verbs.hpp>

#include <boost/asio/io_context.hpp>

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <sys/types.h>

namespace sluice::control {

struct ServerOptions {
    std::string path;
    std::optional<std::string> group{};           ///< Its members may look; without: root only
    Duration patience = std::chrono::seconds{60}; ///< With a client that neither asks nor reads
};

/// What the kernel says of who connected.
struct Credentials {
    uid_t user = 0;
    std::span<const gid_t> groups; ///< The primary one and the supplementary ones
};

/// May they do anything at all? Root and the user that the node runs as may change things, members of `group` may look.
[[nodiscard]] std::optional<Caller> judge_caller(const Credentials& credentials, uid_t own_user,
                                                 std::optional<gid_t> group);

class Server {
public:
    Server(boost::asio::io_context& io, Verbs& verbs);
    /// Closes every connection and removes the socket's file.
    ~Server();
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    /// Why the socket could not be opened there; nothing when it could. A file that a dead process left is no obstacle,
    /// one where a process answers is. Touches nothing.
    [[nodiscard]] static std::optional<MachineError> obstacle(const ServerOptions& options);
    /// Replaces a file that a dead process left, and listens.
    [[nodiscard]] std::optional<MachineError> open(const ServerOptions& options);
    /// Sends what is waiting, as far as the clients take it at once. Before the end of the process.
    void flush();

private:
    struct State;
    std::shared_ptr<State> state_;
};

} // namespace sluice::control
