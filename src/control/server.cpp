#include <sluice/control/server.hpp>

#include "session.hpp"

#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <grp.h>
#include <list>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace sluice::control {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;
using Protocol = asio::local::stream_protocol;

constexpr std::size_t clients_limit = 64;
/// After an accept that failed for lack of descriptors.
constexpr auto accept_pause = std::chrono::milliseconds{200};

/// Does a process answer at this path?
bool answers(const std::string& path)
{
    const int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.c_str(), std::min(path.size(), sizeof address.sun_path - 1));
    // EAGAIN: somebody listens whose queue is full.
    const bool alive =
        connect(probe, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 || errno == EAGAIN;
    ::close(probe);
    return alive;
}

std::optional<gid_t> group_id(const std::string& name)
{
    std::vector<char> buffer(16384);
    struct group entry {};
    struct group* found = nullptr;
    if (getgrnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found) != 0 || found == nullptr) {
        return {};
    }
    return found->gr_gid;
}

std::optional<Caller> caller_of(int socket, std::optional<gid_t> group)
{
    ucred peer{};
    socklen_t size = sizeof peer;
    if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
        return {};
    }
    std::vector<gid_t> groups(256);
    size = static_cast<socklen_t>(groups.size() * sizeof(gid_t));
    const bool known = getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &size) == 0;
    groups.resize(known ? size / sizeof(gid_t) : 0);
    groups.push_back(peer.gid);
    return judge_caller({peer.uid, groups}, geteuid(), group);
}

} // namespace

std::optional<Caller> judge_caller(const Credentials& credentials, uid_t own_user, std::optional<gid_t> group)
{
    Caller caller;
    caller.who = credentials.user == 0 ? "root" : fmt::format("uid {}", credentials.user);
    caller.may_change = credentials.user == 0 || credentials.user == own_user;
    const bool member =
        group && std::find(credentials.groups.begin(), credentials.groups.end(), *group) != credentials.groups.end();
    return caller.may_change || member ? std::optional{caller} : std::nullopt;
}

struct Server::State : std::enable_shared_from_this<Server::State> {
    State(asio::io_context& io, Verbs& answers_to) : acceptor{io}, pause{io}, verbs{answers_to} {}

    Protocol::acceptor acceptor;
    asio::steady_timer pause;
    Verbs& verbs;
    std::string path;
    std::optional<gid_t> group;
    Duration patience{};
    std::list<std::weak_ptr<Session>> sessions;

    void accept()
    {
        acceptor.async_accept([self = shared_from_this()](const error_code& error, Protocol::socket socket) {
            if (error == asio::error::operation_aborted) {
                return;
            }
            if (error) {
                self->pause.expires_after(accept_pause);
                self->pause.async_wait([self](const error_code& stopped) {
                    if (!stopped) {
                        self->accept();
                    }
                });
                return;
            }
            self->admit(std::move(socket));
            self->accept();
        });
    }

    /// Nobody who may look is closed without a word; one too many is told so.
    void admit(Protocol::socket socket)
    {
        sessions.remove_if([](const auto& session) {
            const auto alive = session.lock();
            return !alive || alive->closed();
        });
        auto caller = caller_of(socket.native_handle(), group);
        if (!caller) {
            return;
        }
        if (sessions.size() >= clients_limit) {
            refuse(socket);
            return;
        }
        const auto session = std::make_shared<Session>(std::move(socket), std::move(*caller), verbs, patience);
        sessions.push_back(session);
        session->start();
    }

    void refuse(Protocol::socket& socket)
    {
        const auto refusal =
            verbs.refusal(Exit::refused, fmt::format("{} clients are connected already", clients_limit),
                          fmt::format("`ss -xp src {}` shows them", path));
        // A new connection has room for a line.
        error_code ignored;
        socket.non_blocking(true, ignored);
        asio::write(socket, asio::buffer(boost::json::serialize(refusal) + '\n'), ignored);
    }

    template <class Action>
    void for_each(Action action)
    {
        for (const auto& session : sessions) {
            if (const auto alive = session.lock()) {
                action(*alive);
            }
        }
    }
};

Server::Server(asio::io_context& io, Verbs& verbs) : state_{std::make_shared<State>(io, verbs)} {}

Server::~Server()
{
    error_code ignored;
    state_->acceptor.close(ignored);
    state_->pause.cancel();
    state_->for_each([](Session& session) { session.close(); });
    if (!state_->path.empty()) {
        unlink(state_->path.c_str());
    }
}

std::optional<MachineError> Server::obstacle(const ServerOptions& options)
{
    if (options.path.size() >= sizeof sockaddr_un{}.sun_path) {
        return MachineError{fmt::format("the path of the control socket is too long for a socket: {}", options.path),
                            "choose a shorter one: `control: {socket: PATH}`"};
    }
    if (options.group && !group_id(*options.group)) {
        return MachineError{fmt::format("there is no group `{}`", *options.group),
                            fmt::format("groupadd {}", *options.group)};
    }
    struct stat status {};
    if (stat(options.path.c_str(), &status) != 0) {
        return {};
    }
    if (!S_ISSOCK(status.st_mode)) {
        return MachineError{fmt::format("{} is no socket", options.path),
                            "choose another path: `control: {socket: PATH}`"};
    }
    if (answers(options.path)) {
        return MachineError{fmt::format("another process answers at {}: this node runs already", options.path),
                            fmt::format("sluicectl --socket {} status", options.path)};
    }
    return {};
}

std::optional<MachineError> Server::open(const ServerOptions& options)
{
    if (auto problem = obstacle(options)) {
        return problem;
    }
    const std::filesystem::path path{options.path};
    std::error_code ignored;
    std::filesystem::create_directories(path.parent_path(), ignored);
    unlink(options.path.c_str());
    state_->group = options.group ? group_id(*options.group) : std::nullopt;
    state_->patience = options.patience;

    error_code error;
    state_->acceptor.open({}, error);
    // Until chmod() nobody but the owner can connect: the umask takes the right to write from the others.
    const mode_t old_mask = umask(0077);
    if (!error) {
        state_->acceptor.bind(Protocol::endpoint{options.path}, error);
    }
    umask(old_mask);
    if (!error) {
        state_->path = options.path;
        state_->acceptor.listen(16, error);
    }
    const bool owned =
        error || !state_->group || chown(options.path.c_str(), static_cast<uid_t>(-1), *state_->group) == 0;
    if (!error && (!owned || chmod(options.path.c_str(), state_->group ? 0660 : 0600) != 0)) {
        error = error_code{errno, boost::system::system_category()};
    }
    if (error) {
        return MachineError{
            fmt::format("control socket {}: {}", options.path, error.message()),
            fmt::format("mkdir -p {}, or another path: `control: {{socket: PATH}}`", path.parent_path().string())};
    }
    state_->accept();
    return {};
}

void Server::flush()
{
    state_->for_each([](Session& session) { session.flush(); });
}

} // namespace sluice::control
