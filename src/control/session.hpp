// One connection of the control socket: requests in, answers out, one request at a time.
#pragma once

#include <sluice/control/verbs.hpp>

#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>

#include <functional>
#include <memory>
#include <string>

namespace sluice::control {

class Session final : public Reply, public std::enable_shared_from_this<Session> {
public:
    using Socket = boost::asio::local::stream_protocol::socket;

    /// A client that neither asks nor reads for longer than `patience` is cut off.
    Session(Socket socket, Caller caller, Verbs& verbs, Duration patience);

    void start();
    /// Idempotent.
    void close();
    [[nodiscard]] bool closed() const noexcept { return closed_; }
    /// Writes what is waiting as far as the socket takes it, then closes.
    void flush();

    void answer(boost::json::object object) override;
    void line(const boost::json::object& object) override;
    void end() override;
    [[nodiscard]] bool congested() const override;
    void when_writable(std::function<void()> go_on) override;
    void when_left(std::function<void()> left) override;
    void when_finished(std::function<void()> finished) override;

private:
    void read();
    void received(std::size_t size);
    void write();
    void written();
    void watch_end();
    void restart_timer();

    Socket socket_;
    boost::asio::steady_timer timer_;
    Caller caller_;
    Verbs& verbs_;
    Duration patience_;
    std::string input_;
    std::string waiting_; ///< Not yet given to the socket
    std::string sending_;
    bool writing_ = false;
    bool answering_ = false;
    bool ending_ = false; ///< Close when all is sent
    bool closed_ = false;
    std::function<void()> go_on_;
    std::function<void()> left_;
};

} // namespace sluice::control
