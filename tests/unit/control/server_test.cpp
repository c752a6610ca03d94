// The control socket as clients meet it: real unix sockets, and everything that a client can do wrong.
#include "fake_node.hpp"

#include <sluice/control/server.hpp>

#include <boost/json/parse.hpp>

#include <gmock/gmock.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <sys/socket.h>
#include <sys/un.h>
#include <thread>
#include <unistd.h>

namespace sluice::control {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

/// A client that neither sends nor reads unless it is told to.
class Client {
public:
    explicit Client(const std::string& path) : socket_{socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)}
    {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
        EXPECT_EQ(connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    }
    ~Client() { leave(); }
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;

    void leave()
    {
        if (socket_ >= 0) {
            close(std::exchange(socket_, -1));
        }
    }
    /// As much as the socket takes.
    void send(std::string_view text) const
    {
        static_cast<void>(::send(socket_, text.data(), text.size(), MSG_NOSIGNAL));
    }
    void ask(std::string_view verb, std::string_view more = "") const
    {
        send(R"({"verb":")" + std::string{verb} + '"' + std::string{more} + "}\n");
    }
    void take()
    {
        char buffer[65536];
        const ssize_t size = recv(socket_, buffer, sizeof buffer, 0);
        ended_ = ended_ || size == 0 || (size < 0 && errno != EAGAIN);
        taken_.append(buffer, size > 0 ? static_cast<std::size_t>(size) : 0);
    }
    /// The node has closed the connection.
    [[nodiscard]] bool ended() const { return ended_; }
    [[nodiscard]] std::size_t taken() const { return taken_.size(); }
    /// The next object, if it is here.
    [[nodiscard]] std::optional<boost::json::object> next()
    {
        const std::size_t end = taken_.find('\n');
        if (end == std::string::npos) {
            return {};
        }
        boost::json::object object = boost::json::parse(taken_.substr(0, end)).as_object();
        taken_.erase(0, end + 1);
        return object;
    }

private:
    int socket_;
    std::string taken_;
    bool ended_ = false;
};

class ControlSocket : public testing::Test {
protected:
    ControlSocket()
    {
        char name[] = "/tmp/sluice-control-XXXXXX";
        folder_ = mkdtemp(name);
    }
    ~ControlSocket() override
    {
        server_.reset();
        std::filesystem::remove_all(folder_);
    }

    void open(Duration patience = 60s)
    {
        server_.emplace(io_, verbs_);
        const auto problem = server_->open({path(), {}, patience});
        ASSERT_FALSE(problem) << problem->message;
    }
    [[nodiscard]] std::string path() const { return folder_ + "/socket"; }
    std::unique_ptr<Client> client() { return std::make_unique<Client>(path()); }

    /// Lets the node work until `done`; false after half a minute.
    template <class Done>
    bool until(Done done)
    {
        const auto deadline = std::chrono::steady_clock::now() + 30s;
        while (!done()) {
            if (std::chrono::steady_clock::now() > deadline) {
                return false;
            }
            io_.restart();
            io_.run_one_for(1ms);
        }
        return true;
    }
    /// Lets the node do what it can do at once.
    void settle()
    {
        io_.restart();
        while (io_.run_one_for(5ms) != 0) {
        }
    }
    /// The next object that `from` gets; an empty one when none comes or the connection ends before.
    boost::json::object answer(Client& from)
    {
        std::optional<boost::json::object> found;
        static_cast<void>(until([&] {
            from.take();
            found = from.next();
            return found || from.ended();
        }));
        EXPECT_TRUE(found);
        return found.value_or(boost::json::object{});
    }
    bool answers(Client& client)
    {
        client.ask("version");
        return answer(client)["exit_code"] == 0;
    }
    bool ends(Client& client)
    {
        return until([&] {
            client.take();
            return client.ended();
        });
    }

    std::string folder_;
    boost::asio::io_context io_;
    FakeNode node_;
    Verbs verbs_{node_};
    std::optional<Server> server_;
};

constexpr std::size_t clients_limit = 64;

TEST_F(ControlSocket, AsManyClientsAsTheLimit_AreAnswered_OneMoreIsToldWhy)
{
    open();
    std::vector<std::unique_ptr<Client>> clients;
    for (std::size_t number = 0; number < clients_limit; ++number) {
        clients.push_back(client());
        settle();
    }
    for (const auto& each : clients) {
        EXPECT_TRUE(answers(*each));
    }
    const auto more = client();
    more->ask("version");
    const boost::json::object refusal = answer(*more);
    EXPECT_EQ(refusal.at("exit_code"), 1);
    EXPECT_THAT(std::string{refusal.at("error").as_string()}, HasSubstr("64 clients"));
    EXPECT_TRUE(ends(*more));
    // A place that became free is given away again.
    clients.front()->leave();
    settle();
    const auto next = client();
    EXPECT_TRUE(answers(*next));
    EXPECT_TRUE(answers(*clients.back()));
}

TEST_F(ControlSocket, LongestRequest_IsAnswered_OneByteMoreIsRefusedAndEnds)
{
    open();
    const auto request_of = [](std::size_t size) {
        const std::string begin = R"({"verb":"version","filler":")";
        return begin + std::string(size - begin.size() - 2, 'x') + "\"}";
    };
    const auto fits = client();
    fits->send(request_of(request_limit - 1) + "\n");
    EXPECT_EQ(answer(*fits)["exit_code"], 0);
    EXPECT_TRUE(answers(*fits));

    const auto longer = client();
    longer->send(request_of(request_limit) + "\n");
    const boost::json::object refusal = answer(*longer);
    EXPECT_EQ(refusal.at("exit_code"), 64);
    EXPECT_EQ(refusal.at("error"), "the request is too long");
    EXPECT_TRUE(ends(*longer));
}

TEST_F(ControlSocket, RequestWithoutEnd_IsRefused_HoweverItComes)
{
    open();
    const auto flood = client();
    for (int part = 0; part < 20 && !flood->ended(); ++part) {
        flood->send(std::string(1024, 'x'));
        settle();
        flood->take();
    }
    const auto refusal = flood->next();
    ASSERT_TRUE(refusal);
    EXPECT_EQ(refusal->at("exit_code"), 64);
    EXPECT_TRUE(ends(*flood));
}

TEST_F(ControlSocket, RequestsSentAtOnce_AreAnsweredInOrder)
{
    open();
    const auto hasty = client();
    std::string all;
    for (int number = 0; number < 200; ++number) {
        all += R"({"verb":"none)" + std::to_string(number) + "\"}\n";
    }
    hasty->send(all);
    for (int number = 0; number < 200; ++number) {
        EXPECT_THAT(std::string{answer(*hasty).at("error").as_string()}, HasSubstr("none" + std::to_string(number)));
    }
    EXPECT_FALSE(hasty->next());
}

TEST_F(ControlSocket, NonsenseBetweenRequests_IsRefused_AndTheConnectionGoesOn)
{
    open();
    const auto client = this->client();
    for (const char* line : {"\n", "hello\n", "{}\n", "\xff\xfe\n"}) {
        client->send(line);
        EXPECT_EQ(answer(*client)["exit_code"], 64) << line;
    }
    EXPECT_TRUE(answers(*client));
}

TEST_F(ControlSocket, ClientThatAsksNothing_IsCutOff)
{
    open(50ms);
    const auto silent = client();
    const auto begun = client();
    settle();
    begun->send(R"({"verb":)");
    EXPECT_TRUE(ends(*silent));
    EXPECT_TRUE(ends(*begun));
    EXPECT_EQ(silent->taken() + begun->taken(), 0U);
}

TEST_F(ControlSocket, ClientThatDoesNotRead_HoldsUpNobody_AndIsCutOff)
{
    open(300ms);
    node_.connection_count = 1'000'000;
    const auto stubborn = client();
    stubborn->ask("connections");
    settle();
    // What waits for it is some hundred KiB, not the whole answer.
    const std::size_t held = node_.connections_given;
    EXPECT_GT(held, 0U);
    EXPECT_LT(held, 10'000U);
    const auto other = client();
    EXPECT_TRUE(answers(*other));
    EXPECT_EQ(node_.connections_given, held);

    std::this_thread::sleep_for(350ms);
    settle();
    EXPECT_TRUE(ends(*stubborn));
    EXPECT_EQ(node_.connections_given, held);
}

TEST_F(ControlSocket, ClientThatReadsInPieces_GetsEveryLine)
{
    open();
    node_.connection_count = 20'000;
    const auto reader = client();
    reader->ask("connections");
    std::size_t lines = 0;
    ASSERT_TRUE(until([&] {
        reader->take();
        while (reader->next()) {
            ++lines;
        }
        return reader->ended();
    }));
    EXPECT_EQ(lines, 20'000U);
}

TEST_F(ControlSocket, FollowerThatSleeps_IsToldHowManyEventsItMissed)
{
    open();
    const auto follower = client();
    follower->ask("events", R"(,"follow":true)");
    settle();
    constexpr std::size_t count = 3 * EventLog::capacity;
    for (std::size_t number = 0; number < count; ++number) {
        telemetry::Event event;
        event.subject = std::string_view{"event " + std::to_string(number)};
        node_.events().add(event, {});
        if (number % 1000 == 0) {
            settle();
        }
    }
    std::size_t seen = 0;
    std::uint64_t missed = 0;
    std::string last;
    ASSERT_TRUE(until([&] {
        follower->take();
        while (const auto line = follower->next()) {
            if (const auto* lost = line->if_contains("lost")) {
                missed += lost->to_number<std::uint64_t>();
            } else {
                ++seen;
                last = line->at("subject").as_string();
            }
        }
        return seen + missed >= count;
    })) << seen
        << " seen, " << missed << " missed";
    EXPECT_EQ(seen + missed, count);
    EXPECT_GE(seen, EventLog::capacity);
    EXPECT_GT(missed, 0U);
    EXPECT_EQ(last, "event " + std::to_string(count - 1));
    // It goes on where it is.
    node_.events().add({}, {});
    EXPECT_TRUE(answer(*follower).contains("subject"));
}

TEST_F(ControlSocket, FollowerWithoutEvents_IsNotCutOff_AndLeavesNothingBehind)
{
    open(50ms);
    const auto follower = client();
    follower->ask("events", R"(,"follow":true)");
    settle();
    std::this_thread::sleep_for(100ms);
    settle();
    node_.events().add({}, {});
    EXPECT_TRUE(answer(*follower).contains("subject"));
    follower->leave();
    settle();
    for (int number = 0; number < 3; ++number) {
        node_.events().add({}, {});
    }
    EXPECT_TRUE(answers(*client()));
}

TEST_F(ControlSocket, ClientThatLeavesBeforeItsAnswer_IsNoError)
{
    open();
    auto hasty = client();
    hasty->ask("handover");
    ASSERT_TRUE(until([&] { return static_cast<bool>(node_.handover_done); }));
    hasty->leave();
    settle();
    node_.handover_done(HandoverResult::done);
    EXPECT_TRUE(answers(*client()));
}

TEST_F(ControlSocket, End_SendsWhatWaits_ClosesConnectionsAndRemovesTheFile)
{
    open();
    const auto waiting = client();
    waiting->ask("handover");
    ASSERT_TRUE(until([&] { return static_cast<bool>(node_.handover_done); }));
    node_.handover_done(HandoverResult::done);
    server_->flush();
    server_.reset();
    waiting->take();
    EXPECT_EQ(waiting->next().value_or(boost::json::object{})["result"], "standby");
    waiting->take();
    EXPECT_TRUE(waiting->ended());
    EXPECT_FALSE(std::filesystem::exists(path()));
}

TEST_F(ControlSocket, FileOfADeadProcess_IsReplaced_OneThatAnswersIsNot)
{
    const int dead = socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path().c_str(), sizeof address.sun_path - 1);
    ASSERT_EQ(bind(dead, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    close(dead);
    open();
    EXPECT_TRUE(answers(*client()));
    const auto obstacle = Server::obstacle({path(), {}});
    ASSERT_TRUE(obstacle);
    EXPECT_THAT(obstacle->message, HasSubstr("another process answers"));
    EXPECT_TRUE(answers(*client()));
}

} // namespace
} // namespace sluice::control
