// Whole stacks against each other over a bad wire, from a seed. SLUICE_SEEDS=N runs more of them, SLUICE_SEED=N exactly
// one.
#include "wire.hpp"

#include <sluice/tcp/timer.hpp>

#include <boost/asio/error.hpp>

#include <gtest/gtest.h>

#include <memory>

namespace sluice::simulation {
namespace {

using namespace std::chrono_literals;
using tcp::ErrorCode;
using testing::TcpHost;

std::byte expected_byte(std::uint64_t stream, std::uint64_t offset)
{
    return static_cast<std::byte>((offset * 0x9e3779b97f4a7c15ULL + stream * 0xc2b2ae3d27d4eb4fULL) >> 56U);
}

enum class Ending : std::uint8_t { orderly, abort, close_early };

/// One end of a connection: writes a known sequence, checks what it reads against another, in random pieces and with
/// pauses.
class Application {
public:
    Application(TcpHost& host, std::uint64_t seed, std::uint64_t sends, std::uint64_t send_size, std::uint64_t receives,
                std::uint64_t receive_size, Ending ending)
        : random_{seed}, write_pause_{host.loop.get_executor()}, read_pause_{host.loop.get_executor()},
          stream_{host.loop.get_executor()}, sends_{sends}, send_size_{send_size}, receives_{receives},
          receive_size_{receive_size}, ending_{ending}, stalls_{random_.chance(300'000)},
          end_after_{random_.below(receive_size + send_size + 1)}
    {
    }

    void start(tcp::Stream stream)
    {
        started = true;
        stream_ = std::move(stream);
        write_next();
        read_next();
    }

    bool started = false;
    bool finished = false;
    std::string complaint;
    std::uint64_t progress = 0;
    [[nodiscard]] Ending ending() const noexcept { return ending_; }

private:
    void write_next()
    {
        if (finished) {
            return;
        }
        if (sent_ == send_size_) {
            stream_.shutdown_send();
            sending_done_ = true;
            finish_if_done();
            return;
        }
        const std::size_t size =
            std::min<std::uint64_t>(1 + random_.below(random_.chance(200'000) ? 40 : 20'000), send_size_ - sent_);
        out_.resize(size);
        for (std::size_t index = 0; index < size; ++index) {
            out_[index] = expected_byte(sends_, sent_ + index);
        }
        stream_.async_write_some(boost::asio::buffer(out_.data(), out_.size()),
                                 [this](ErrorCode error, std::size_t count) {
                                     if (error) {
                                         failed(error);
                                         return;
                                     }
                                     sent_ += count;
                                     ++progress;
                                     end_early();
                                     pause(write_pause_, [this] { write_next(); });
                                 });
    }

    void read_next()
    {
        if (finished) {
            return;
        }
        if (random_.chance(300'000)) {
            stream_.async_wait_readable([this](ErrorCode error) {
                if (error) {
                    failed(error);
                    return;
                }
                read_now();
            });
        } else {
            read_now();
        }
    }

    void read_now()
    {
        if (finished) {
            return;
        }
        in_.resize(1 + random_.below(random_.chance(100'000) ? 10 : 30'000));
        stream_.async_read_some(boost::asio::buffer(in_.data(), in_.size()),
                                [this](ErrorCode error, std::size_t count) {
                                    for (std::size_t index = 0; index < count; ++index) {
                                        if (in_[index] != expected_byte(receives_, received_ + index)) {
                                            complaint = "byte " + std::to_string(received_ + index) + " is wrong";
                                        }
                                    }
                                    received_ += count;
                                    ++progress;
                                    if (received_ > receive_size_) {
                                        complaint = "more was received than was sent";
                                    }
                                    if (error == boost::asio::error::eof) {
                                        if (received_ != receive_size_ && ending_ == Ending::orderly) {
                                            complaint = "the data ended after " + std::to_string(received_) + " of " +
                                                        std::to_string(receive_size_);
                                        }
                                        receiving_done_ = true;
                                        finish_if_done();
                                    } else if (error) {
                                        failed(error);
                                    } else {
                                        end_early();
                                        pause(read_pause_, [this] { read_next(); });
                                    }
                                });
    }

    template <class Next>
    void pause(tcp::Timer& timer, Next next)
    {
        if (finished) {
            return;
        }
        if (!stalls_ || !random_.chance(60'000)) {
            next();
            return;
        }
        timer.expires_after(
            std::chrono::milliseconds{random_.chance(100'000) ? random_.below(20'000) : random_.below(300)});
        timer.async_wait([next](ErrorCode error) {
            if (!error) {
                next();
            }
        });
    }

    void end_early()
    {
        if (ending_ == Ending::orderly || finished || sent_ + received_ < end_after_) {
            return;
        }
        finished = true;
        if (ending_ == Ending::abort) {
            stream_.abort();
        } else {
            stream_.close();
        }
    }

    void finish_if_done()
    {
        if (sending_done_ && receiving_done_ && !finished) {
            finished = true;
            stream_.close();
        }
    }

    void failed(ErrorCode error)
    {
        if (finished) {
            return; // What ended here ends with operation_aborted.
        }
        if (ending_ == Ending::orderly) {
            complaint = "an operation failed: " + error.message();
        }
        finished = true;
        stream_.close();
    }

    Random random_;
    tcp::Timer write_pause_;
    tcp::Timer read_pause_;
    tcp::Stream stream_;
    std::uint64_t sends_;
    std::uint64_t send_size_;
    std::uint64_t receives_;
    std::uint64_t receive_size_;
    Ending ending_;
    bool stalls_;
    std::uint64_t end_after_;
    std::uint64_t sent_ = 0;
    std::uint64_t received_ = 0;
    bool sending_done_ = false;
    bool receiving_done_ = false;
    std::vector<std::byte> out_;
    std::vector<std::byte> in_;
};

/// One world from one seed.
class World {
public:
    explicit World(std::uint64_t seed) : random_{seed}, v6_{random_.chance(400'000)}
    {
        tcp::StackOptions left_options = stack_options();
        tcp::StackOptions right_options = stack_options();
        right_options.congestion_control = tcp::CongestionControl::newreno; // And CUBIC on the left
        const auto address = [&](std::uint32_t host) {
            return v6_ ? *wire::IpAddress::parse("2001:db8::" + std::to_string(host))
                       : wire::IpAddress::v4(0x0a000000U + host);
        };
        left = std::make_unique<TcpHost>(clock, address(1), seed * 2 + 1, left_options, 1024);
        right = std::make_unique<TcpHost>(clock, address(2), seed * 2 + 2, right_options, 1024);
        left->mtu = static_cast<std::uint16_t>(1280 + random_.below(500));
        right->mtu = static_cast<std::uint16_t>(1280 + random_.below(500));
        link = std::make_unique<Wire>(clock, *left, *right, wire_options(), random_.next());
    }

    void run()
    {
        const std::size_t pairs = 1 + random_.below(3);
        const wire::Endpoint service{right->address, 80};
        tcp::ListenOptions listen;
        listen.connection = connection_options();
        std::size_t next_server = 0;
        ASSERT_TRUE(right->stack.listen(service, listen, [&](tcp::Stream stream) {
            const std::uint16_t port = stream.remote_endpoint().port;
            for (std::size_t index = 0; index < pairs; ++index) {
                if (client_ports_[index] == port) {
                    servers_[index]->start(std::move(stream));
                    return;
                }
            }
            // Accepted before the client's own handshake was over: the client's port is not known yet.
            early_.emplace_back(port, std::move(stream));
            ++next_server;
        }));
        for (std::size_t index = 0; index < pairs; ++index) {
            open(index, service);
        }
        drive(pairs);
        right->stack.unlisten(service);
        early_.clear();
        ASSERT_TRUE(link->run_until(clock.now() + 1200s, [] { return false; })) << link->judge.complaint();
        for (std::size_t index = 0; index < pairs; ++index) {
            EXPECT_TRUE(servers_[index]->finished || !servers_[index]->started) << "server " << index;
        }
        expect_clean(*left);
        expect_clean(*right);
        // No storm: loss of 10 % each way does not explain four times the useful data segments.
        const std::uint64_t useful = useful_bytes_ / 500 + 60 * pairs;
        EXPECT_LT(link->judge.data_segments, 4 * useful);
    }

private:
    tcp::StackOptions stack_options()
    {
        tcp::StackOptions options;
        options.connection_limit = 64;
        options.half_open_limit = 64;
        options.time_wait_limit = 64;
        options.sack = !random_.chance(300'000);
        options.timestamps = !random_.chance(300'000);
        return options;
    }

    tcp::ConnectionOptions connection_options()
    {
        tcp::ConnectionOptions options;
        options.receive_initial =
            static_cast<std::uint32_t>(2000 + random_.below(random_.chance(300'000) ? 4000 : 100'000));
        options.receive_limit = options.receive_initial << random_.below(5);
        options.send_limit = static_cast<std::uint32_t>(2000 + random_.below(200'000));
        options.time_wait = 10s;
        options.linger = 300s; // Longer than two timeouts in a row after a black hole
        options.keepalive_idle =
            60s; // Who only reads learns of a peer that is gone, and whose RST was lost, in no other way.
        return options;
    }

    WireOptions wire_options()
    {
        WireOptions options;
        if (random_.chance(800'000)) {
            options.loss = static_cast<std::uint32_t>(random_.below(random_.chance(500'000) ? 20'000 : 100'000));
            options.duplicate = static_cast<std::uint32_t>(random_.below(50'000));
            options.corrupt = static_cast<std::uint32_t>(random_.below(20'000));
            options.reorder = static_cast<std::uint32_t>(random_.below(100'000));
        }
        options.delay = std::chrono::microseconds{random_.below(random_.chance(500'000) ? 500 : 80'000)};
        options.jitter = options.delay / 4;
        options.reorder_delay = options.delay * 2 + 1ms;
        if (random_.chance(300'000)) {
            options.narrow_mtu = static_cast<std::uint16_t>(v6_ ? 1280 : 600 + random_.below(700));
            options.narrow_at = clock.now() + std::chrono::milliseconds{random_.below(3000)};
            options.black_hole = random_.chance(400'000);
        }
        options.clock_jumps = random_.chance(200'000) ? 3 : 0;
        return options;
    }

    void open(std::size_t index, const wire::Endpoint& service)
    {
        const std::uint64_t up = random_.below(random_.chance(300'000) ? 400'000 : 50'000);
        const std::uint64_t down = random_.below(random_.chance(300'000) ? 400'000 : 50'000);
        useful_bytes_ += up + down;
        // A connection that one end breaks off is not orderly for the other either.
        const std::uint64_t choice = random_.below(10);
        const Ending client = choice == 0 ? Ending::abort : choice == 1 ? Ending::close_early : Ending::orderly;
        const bool broken = client != Ending::orderly;
        clients_[index] =
            std::make_unique<Application>(*left, random_.next(), index * 2, up, index * 2 + 1, down, client);
        servers_[index] = std::make_unique<Application>(*right, random_.next(), index * 2 + 1, down, index * 2, up,
                                                        broken ? Ending::close_early : Ending::orderly);
        left->stack.async_connect({left->address, 0}, service, connection_options(),
                                  [this, index](ErrorCode error, tcp::Stream stream) {
                                      if (error) {
                                          clients_[index]->complaint = "connect: " + error.message();
                                          return;
                                      }
                                      client_ports_[index] = stream.local_endpoint().port;
                                      for (auto& [port, waiting] : early_) {
                                          if (port == client_ports_[index]) {
                                              servers_[index]->start(std::move(waiting));
                                          }
                                      }
                                      clients_[index]->start(std::move(stream));
                                  });
    }

    void drive(std::size_t pairs)
    {
        // Twice the largest timeout since a packet was lost last, and what a reader may sleep for.
        const Duration patience = 2 * tcp::StackOptions{}.rto_maximum + 30s;
        std::uint64_t last = 0;
        TimePoint since = clock.now();
        bool finished = false;
        const bool fine = link->run_until(clock.now() + 24h, [&] {
            std::uint64_t progress = 0;
            bool all = true;
            bool complained = false;
            for (std::size_t index = 0; index < pairs; ++index) {
                progress += clients_[index]->progress + servers_[index]->progress;
                // The end whose peer broke off may never learn of the connection at all.
                all = all && clients_[index]->finished &&
                      (servers_[index]->finished || clients_[index]->ending() != Ending::orderly);
                complained = complained || !clients_[index]->complaint.empty() || !servers_[index]->complaint.empty();
            }
            if (progress != last) {
                last = progress;
                since = clock.now();
            }
            stuck_ = clock.now() - std::max(since, link->last_fault) > patience;
            finished = all;
            return all || stuck_ || complained;
        });
        EXPECT_TRUE(fine) << link->judge.complaint();
        EXPECT_TRUE(finished) << "nothing is left to happen, and not everything has happened";
        EXPECT_FALSE(stuck_) << "nothing moved for " << patience / 1s << " s";
        for (std::size_t index = 0; index < pairs; ++index) {
            EXPECT_EQ(clients_[index]->complaint, "") << "client " << index;
            EXPECT_EQ(servers_[index]->complaint, "") << "server " << index;
        }
    }

    void expect_clean(const TcpHost& host)
    {
        const tcp::StackUsage usage = host.stack.usage();
        EXPECT_EQ(usage.connections, 0U) << host.address.to_string();
        EXPECT_EQ(usage.half_open, 0U);
        EXPECT_EQ(usage.time_wait, 0U);
        EXPECT_EQ(usage.buffer_bytes, 0U);
        EXPECT_EQ(host.pool.available(), host.pool.capacity());
    }

    Random random_;
    bool v6_;

public:
    FakeClock clock;
    std::unique_ptr<TcpHost> left;
    std::unique_ptr<TcpHost> right;
    std::unique_ptr<Wire> link;

private:
    std::array<std::unique_ptr<Application>, 3> clients_;
    std::array<std::unique_ptr<Application>, 3> servers_;
    std::array<std::uint16_t, 3> client_ports_{};
    std::vector<std::pair<std::uint16_t, tcp::Stream>> early_;
    std::uint64_t useful_bytes_ = 0;
    bool stuck_ = false;
};

TEST(TcpSimulation, two_stacks_over_a_bad_wire_deliver_every_byte_once_and_give_everything_back)
{
    const std::uint64_t one = number("SLUICE_SEED", 0);
    const std::uint64_t first = one != 0 ? one : 1;
    const std::uint64_t last = one != 0 ? one : number("SLUICE_SEEDS", 300);
    ASSERT_GE(last, first) << "nothing was simulated";
    for (std::uint64_t seed = first; seed <= last && !HasFailure(); ++seed) {
        World world{seed};
        world.run();
        if (HasFailure()) {
            std::printf("replay with SLUICE_SEED=%llu\n", static_cast<unsigned long long>(seed));
        }
    }
}

} // namespace
} // namespace sluice::simulation
