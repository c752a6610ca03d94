#include <ctl/client.hpp>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <utility>

namespace sluice::ctl {
namespace {

namespace json = boost::json;

/// A node never sends a longer line.
constexpr std::size_t line_limit = 256U << 20U;

class Descriptor {
public:
    explicit Descriptor(int number) noexcept : number_{number} {}
    ~Descriptor()
    {
        if (number_ >= 0) {
            close(number_);
        }
    }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    [[nodiscard]] int get() const noexcept { return number_; }

private:
    int number_;
};

std::string no_answer(const Conversation& with, std::string_view why)
{
    return fmt::format("the node does not answer at {}: {}", with.socket, why);
}

bool send_all(int socket, std::string_view text)
{
    while (!text.empty()) {
        const ssize_t sent = send(socket, text.data(), text.size(), MSG_NOSIGNAL);
        if (sent < 0 && errno != EINTR) {
            return false;
        }
        text.remove_prefix(sent > 0 ? static_cast<std::size_t>(sent) : 0);
    }
    return true;
}

/// True when there is something to read, false when nothing came in time. `stop`: see Conversation; -1 once it was
/// seen.
bool wait_readable(int socket, std::chrono::milliseconds patience, int& stop)
{
    while (true) {
        pollfd waited[]{{socket, POLLIN, 0}, {stop, POLLIN, 0}};
        const int ready = poll(waited, 2, patience.count() == 0 ? -1 : static_cast<int>(patience.count()));
        if (ready < 0 && errno == EINTR) {
            continue;
        }
        if (ready > 0 && waited[1].revents != 0) {
            shutdown(socket, SHUT_WR);
            stop = -1;
            continue;
        }
        return ready > 0;
    }
}

} // namespace

Expected<void, std::string> converse(const Conversation& with, const json::object& request, bool stream,
                                     const Receiver& receive)
{
    sockaddr_un address{};
    if (with.socket.size() >= sizeof address.sun_path) {
        return failure(no_answer(with, "the path is too long for a socket"));
    }
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, with.socket.c_str(), with.socket.size());
    const Descriptor socket{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    if (connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        return failure(no_answer(with, std::strerror(errno)));
    }
    // A node that refuses to listen says why before it closes: that is still to be read.
    if (!send_all(socket.get(), json::serialize(request) + "\n") && errno != EPIPE && errno != ECONNRESET) {
        return failure(no_answer(with, std::strerror(errno)));
    }
    std::string input;
    std::size_t taken = 0; ///< Of `input`, in whole lines; a million of them must not move what is left each time
    std::size_t scanned = 0;
    bool answered = false;
    int stop = with.stop;
    while (true) {
        const std::size_t end = input.find('\n', scanned);
        if (end != std::string::npos) {
            const std::string line = input.substr(taken, end - taken);
            taken = scanned = end + 1;
            json::error_code error;
            const json::value value = json::parse(line, error);
            if (error || !value.is_object()) {
                return failure(no_answer(with, "this is no Sluice node"));
            }
            answered = true;
            if (!receive(value.as_object(), line) || !stream) {
                return {};
            }
            continue;
        }
        input.erase(0, std::exchange(taken, 0));
        scanned = input.size();
        if (input.size() > line_limit) {
            return failure(no_answer(with, "this is no Sluice node"));
        }
        if (!wait_readable(socket.get(), with.patience, stop)) {
            return failure(no_answer(with, "nothing came in time"));
        }
        char buffer[65536];
        const ssize_t size = recv(socket.get(), buffer, sizeof buffer, 0);
        if (size == 0 && (answered || stream)) {
            return {};
        }
        if (size <= 0) {
            return failure(
                no_answer(with, size == 0 ? "it closed the connection; may you ask it?" : std::strerror(errno)));
        }
        input.append(buffer, static_cast<std::size_t>(size));
    }
}

} // namespace sluice::ctl
