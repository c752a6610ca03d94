// The admin page over real sockets. Clients beyond loopback need an address beyond loopback: those tests run in a
// network namespace of their own thread and are skipped without the privilege to make one.
#include "fake_node.hpp"

#include <sluice/control/admin.hpp>

#include <boost/asio/ip/tcp.hpp>

#include <gmock/gmock.h>

#include <cerrno>
#include <cstdlib>
#include <functional>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

namespace sluice::control {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

wire::IpAddress ip(std::string_view text) { return wire::IpAddress::parse(text).value(); }

config::Admin admin_at(std::string_view address, std::uint16_t port, std::vector<std::string_view> allow = {})
{
    config::Admin admin;
    admin.listen.value = {ip(address), port};
    for (const std::string_view prefix : allow) {
        admin.allow.push_back({wire::Prefix::parse(prefix).value(), {}});
    }
    return admin;
}

TEST(MayLook, Table)
{
    struct {
        const char* client;
        std::vector<std::string_view> allow;
        bool may;
    } const table[] = {
        {"127.0.0.1", {}, true},
        {"127.8.8.8", {}, true},
        {"::1", {}, true},
        {"192.0.2.1", {}, false},
        {"2001:db8::1", {}, false},
        {"192.0.2.1", {"192.0.2.0/24"}, true},
        {"192.0.3.1", {"192.0.2.0/24"}, false},
        {"192.0.3.1", {"192.0.2.0/24", "192.0.3.1/32"}, true},
        {"2001:db8::1", {"192.0.2.0/24", "2001:db8::/64"}, true},
        {"2001:db8:1::1", {"2001:db8::/64"}, false},
        {"192.0.2.1", {"::/0"}, false},
        {"2001:db8::1", {"0.0.0.0/0"}, false},
        {"fe80::1", {"fe80::/10"}, true},
    };
    for (const auto& row : table) {
        EXPECT_EQ(may_look(ip(row.client), admin_at("127.0.0.1", 1, row.allow)), row.may) << row.client;
    }
}

/// One TCP connection of the kernel, with the control thread's work done between.
class Browser {
public:
    Browser(boost::asio::io_context& io, int family) : io_{io}, socket_{::socket(family, SOCK_STREAM, 0)} {}
    ~Browser() { close(socket_); }
    Browser(const Browser&) = delete;
    Browser& operator=(const Browser&) = delete;

    [[nodiscard]] bool open(const wire::Endpoint& to, unsigned scope = 0) const
    {
        sockaddr_in6 v6{};
        v6.sin6_family = AF_INET6;
        v6.sin6_port = htons(to.port);
        v6.sin6_scope_id = scope;
        to.address.store(reinterpret_cast<std::byte*>(&v6.sin6_addr));
        sockaddr_in v4{};
        v4.sin_family = AF_INET;
        v4.sin_port = htons(to.port);
        v4.sin_addr.s_addr = to.address.is_v4() ? htonl(to.address.v4_value()) : 0;
        const auto* address =
            to.address.is_v4() ? reinterpret_cast<const sockaddr*>(&v4) : reinterpret_cast<const sockaddr*>(&v6);
        const socklen_t size = to.address.is_v4() ? sizeof v4 : sizeof v6;
        // The kernel makes the routes to a new address a moment after it has taken the address.
        for (int attempt = 0; attempt < 200; ++attempt) {
            if (connect(socket_, address, size) == 0) {
                return true;
            }
            if (errno == ECONNREFUSED) {
                break;
            }
            std::this_thread::sleep_for(10ms);
        }
        return false;
    }
    void send(std::string_view text) const
    {
        static_cast<void>(::send(socket_, text.data(), text.size(), MSG_NOSIGNAL));
    }
    /// Everything until the node closes the connection or a second has passed.
    [[nodiscard]] std::string read_to_end()
    {
        std::string all;
        const auto deadline = std::chrono::steady_clock::now() + 1s;
        while (std::chrono::steady_clock::now() < deadline) {
            io_.restart();
            io_.run_one_for(1ms);
            char buffer[65536];
            const ssize_t size = recv(socket_, buffer, sizeof buffer, MSG_DONTWAIT);
            if (size == 0 || (size < 0 && errno != EAGAIN)) {
                ended_ = true;
                return all;
            }
            all.append(buffer, size > 0 ? static_cast<std::size_t>(size) : 0);
        }
        return all;
    }
    [[nodiscard]] bool ended() const { return ended_; }

private:
    boost::asio::io_context& io_;
    int socket_;
    bool ended_ = false;
};

class AdminTest : public testing::Test {
protected:
    /// A port that nobody has at this address.
    std::uint16_t free_port(std::string_view address)
    {
        namespace net = boost::asio::ip;
        const net::tcp::endpoint any{net::make_address(std::string{address}), 0};
        net::tcp::acceptor probe{io_, any};
        return probe.local_endpoint().port();
    }
    void listen(std::string_view address, std::vector<std::string_view> allow = {})
    {
        port_ = free_port(address);
        const auto problem = page_.apply(admin_at(address, port_, std::move(allow)));
        ASSERT_FALSE(problem) << problem->message;
    }
    /// What a client gets that connects to `address`; nothing when it is closed without an answer.
    std::string get(std::string_view address, std::string_view request = "GET /livez", unsigned scope = 0)
    {
        Browser browser{io_, ip(address).is_v4() ? AF_INET : AF_INET6};
        EXPECT_TRUE(browser.open({ip(address), port_}, scope)) << address;
        browser.send(std::string{request} + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        std::string answer = browser.read_to_end();
        EXPECT_TRUE(browser.ended());
        return answer;
    }

    boost::asio::io_context io_;
    FakeNode node_;
    AdminPage page_{io_, node_};
    std::uint16_t port_ = 0;
};

TEST_F(AdminTest, Pages_AreReadOnly)
{
    listen("127.0.0.1");
    EXPECT_THAT(get("127.0.0.1"), StartsWith("HTTP/1.1 200"));
    EXPECT_THAT(get("127.0.0.1", "GET /metrics"), HasSubstr("sluice_build_info{version=\"0.0-test\"} 1"));
    EXPECT_THAT(get("127.0.0.1", "GET /"), StartsWith("HTTP/1.1 404"));
    EXPECT_THAT(get("127.0.0.1", "POST /livez"), StartsWith("HTTP/1.1 405"));
    EXPECT_THAT(get("127.0.0.1", "GET /" + std::string(9000, 'x')), IsEmpty());
}

TEST_F(AdminTest, ListenerOfBothFamilies_KnowsLoopbackInBoth)
{
    listen("::");
    EXPECT_THAT(get("127.0.0.1"), StartsWith("HTTP/1.1 200"));
    EXPECT_THAT(get("::1"), StartsWith("HTTP/1.1 200"));
}

TEST_F(AdminTest, MoreVisitorsThanTheLimit_AreClosed_UntilOneLeaves)
{
    listen("127.0.0.1");
    constexpr std::size_t limit = 32;
    std::vector<std::unique_ptr<Browser>> visitors;
    for (std::size_t number = 0; number < limit; ++number) {
        visitors.push_back(std::make_unique<Browser>(io_, AF_INET));
        ASSERT_TRUE(visitors.back()->open({ip("127.0.0.1"), port_}));
        io_.restart();
        io_.run_one_for(50ms);
    }
    EXPECT_THAT(get("127.0.0.1"), IsEmpty());
    visitors.front()->send("GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    EXPECT_THAT(visitors.front()->read_to_end(), StartsWith("HTTP/1.1 200"));
    EXPECT_THAT(get("127.0.0.1"), StartsWith("HTTP/1.1 200"));
}

TEST_F(AdminTest, AddressThatIsTaken_LeavesEverythingAsItWas)
{
    listen("127.0.0.1");
    namespace net = boost::asio::ip;
    const net::tcp::acceptor other{io_, net::tcp::endpoint{net::address_v4::loopback(), 0}};
    const auto problem = page_.apply(admin_at("127.0.0.1", other.local_endpoint().port()));
    ASSERT_TRUE(problem);
    EXPECT_THAT(problem->message, HasSubstr("admin page 127.0.0.1:"));
    EXPECT_THAT(get("127.0.0.1"), StartsWith("HTTP/1.1 200"));
    EXPECT_FALSE(page_.apply({}));
    EXPECT_FALSE((Browser{io_, AF_INET}.open({ip("127.0.0.1"), port_})));
}

/// Where the machine's one interface is called lo and has addresses beyond loopback too.
void on_an_island(const std::function<void(unsigned scope)>& body)
{
    bool made = false;
    std::thread{[&] {
        if (unshare(CLONE_NEWNET) != 0) {
            return;
        }
        made = true;
        const auto run = [](const char* command) { ASSERT_EQ(std::system(command), 0) << command; };
        run("ip link set lo up");
        run("ip address add 192.0.2.1/32 dev lo");
        run("ip address add 198.51.100.1/32 dev lo");
        run("ip address add 2001:db8::1/128 dev lo nodad");
        run("ip address add fe80::1/128 dev lo nodad");
        body(if_nametoindex("lo"));
    }}.join();
    if (!made) {
        GTEST_SKIP() << "making a network namespace needs root";
    }
}

TEST_F(AdminTest, ClientsBeyondLoopback_NeedAPlaceInAllow)
{
    on_an_island([this](unsigned) {
        listen("0.0.0.0", {"192.0.2.0/24"});
        EXPECT_THAT(get("192.0.2.1"), StartsWith("HTTP/1.1 200"));
        EXPECT_THAT(get("127.0.0.1"), StartsWith("HTTP/1.1 200"));
        EXPECT_THAT(get("198.51.100.1"), IsEmpty());
    });
}

TEST_F(AdminTest, AllowOfEitherFamily_HoldsOnAListenerOfBoth)
{
    on_an_island([this](unsigned scope) {
        listen("::", {"192.0.2.0/24", "2001:db8::/64", "fe80::/10"});
        EXPECT_THAT(get("192.0.2.1"), StartsWith("HTTP/1.1 200"));
        EXPECT_THAT(get("2001:db8::1"), StartsWith("HTTP/1.1 200"));
        EXPECT_THAT(get("fe80::1", "GET /livez", scope), StartsWith("HTTP/1.1 200"));
        EXPECT_THAT(get("198.51.100.1"), IsEmpty());
    });
}

TEST_F(AdminTest, AllowThatChanges_HoldsForTheNextClient)
{
    on_an_island([this](unsigned) {
        listen("0.0.0.0");
        EXPECT_THAT(get("192.0.2.1"), IsEmpty());
        EXPECT_FALSE(page_.apply(admin_at("0.0.0.0", port_, {"192.0.2.1/32"})));
        EXPECT_THAT(get("192.0.2.1"), StartsWith("HTTP/1.1 200"));
        EXPECT_FALSE(page_.apply(admin_at("0.0.0.0", port_)));
        EXPECT_THAT(get("192.0.2.1"), IsEmpty());
    });
}

} // namespace
} // namespace sluice::control
