#include <ctl/client.hpp>

#include <gmock/gmock.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <sys/socket.h>
#include <sys/un.h>
#include <thread>
#include <unistd.h>

namespace sluice::ctl {
namespace {

using namespace std::chrono_literals;

/// Answers one connection with fixed bytes, then closes it.
class Listener {
public:
    explicit Listener(std::string answer, bool listens = true)
    {
        char name[] = "/tmp/sluice-ctl-XXXXXX";
        folder_ = mkdtemp(name);
        socket_ = socket(AF_UNIX, SOCK_STREAM, 0);
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::strncpy(address.sun_path, path().c_str(), sizeof address.sun_path - 1);
        EXPECT_EQ(bind(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
        EXPECT_EQ(listen(socket_, 1), 0);
        thread_ = std::thread{[this, listens, answer = std::move(answer)] {
            const int client = accept(socket_, nullptr, nullptr);
            char buffer[4096];
            const ssize_t size = listens ? recv(client, buffer, sizeof buffer, 0) : 0;
            request_.assign(buffer, size > 0 ? static_cast<std::size_t>(size) : 0);
            static_cast<void>(send(client, answer.data(), answer.size(), MSG_NOSIGNAL));
            close(client);
        }};
    }
    ~Listener()
    {
        finish();
        close(socket_);
        std::filesystem::remove_all(folder_);
    }
    [[nodiscard]] std::string path() const { return folder_ + "/socket"; }
    const std::string& finish()
    {
        if (thread_.joinable()) {
            thread_.join();
        }
        return request_;
    }

private:
    std::string folder_;
    int socket_ = -1;
    std::string request_;
    std::thread thread_;
};

TEST(Converse, OneObject_IsHandedOver)
{
    Listener node{"{\"a\":1}\n{\"never\":1}\n"};
    std::vector<std::string> lines;
    const auto done = converse({node.path(), 5s}, {{"verb", "status"}}, false, [&](const auto&, const auto& line) {
        lines.push_back(line);
        return true;
    });
    EXPECT_TRUE(done);
    EXPECT_THAT(lines, testing::ElementsAre(R"({"a":1})"));
    EXPECT_EQ(node.finish(), "{\"verb\":\"status\"}\n");
}

TEST(Converse, Stream_EndsWhenTheNodeCloses)
{
    Listener node{"{\"a\":1}\n{\"a\":2}\n"};
    std::size_t count = 0;
    const auto done = converse({node.path(), 5s}, {{"verb", "events"}}, true, [&](const auto&, const auto&) {
        ++count;
        return true;
    });
    EXPECT_TRUE(done);
    EXPECT_EQ(count, 2U);
}

TEST(Converse, NobodyThere_IsNoAnswer)
{
    const auto done =
        converse({"/tmp/sluice-no-such-socket", 1s}, {}, false, [](const auto&, const auto&) { return true; });
    ASSERT_FALSE(done);
    EXPECT_THAT(done.error(), testing::HasSubstr("does not answer"));
}

TEST(Converse, SomebodyElseAnswers_IsNoAnswer)
{
    for (const char* text : {"hello\n", "[]\n", ""}) {
        Listener node{text};
        EXPECT_FALSE(converse({node.path(), 5s}, {}, false, [](const auto&, const auto&) { return true; })) << text;
    }
}

TEST(Converse, RefusedBeforeAWordWasSaid_TheReasonIsRead)
{
    Listener node{"{\"error\":\"64 clients are connected already\"}\n", false};
    std::string seen;
    // Longer than a socket's buffer, so that the end of the connection meets the writer.
    const boost::json::object request{{"verb", std::string(4'000'000, 'x')}};
    const auto done = converse({node.path(), 5s}, request, false, [&](const auto&, const auto& line) {
        seen = line;
        return true;
    });
    EXPECT_TRUE(done) << done.error();
    EXPECT_THAT(seen, testing::HasSubstr("64 clients"));
}

} // namespace
} // namespace sluice::ctl
