#include "session.hpp"

#include <boost/asio/post.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>
#include <boost/json/serialize.hpp>

#include <sys/socket.h>

namespace sluice::control {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

/// Enough to keep a reader busy while the next slice is made.
constexpr std::size_t congestion_mark = 256 * 1024;
/// An answer is one object: even a node with ten thousand servers stays below.
constexpr std::size_t waiting_limit = 32U << 20U;

} // namespace

Session::Session(Socket socket, Caller caller, Verbs& verbs, Duration patience)
    : socket_{std::move(socket)}, timer_{socket_.get_executor()}, caller_{std::move(caller)}, verbs_{verbs},
      patience_{patience}
{
}

void Session::start()
{
    watch_end();
    read();
}

void Session::close()
{
    if (closed_) {
        return;
    }
    closed_ = true;
    error_code ignored;
    socket_.close(ignored);
    timer_.cancel();
    go_on_ = nullptr;
    if (const auto left = std::exchange(left_, nullptr)) {
        left();
    }
}

void Session::flush()
{
    if (closed_) {
        return;
    }
    // What an asynchronous write has not sent yet is lost to us: only whole answers that wait can be sent.
    if (!writing_ && !waiting_.empty()) {
        error_code ignored;
        socket_.native_non_blocking(true, ignored);
        asio::write(socket_, asio::buffer(waiting_), ignored);
    }
    close();
}

void Session::watch_end()
{
    // Completes when the client has gone, also while an answer is still being made.
    socket_.async_wait(Socket::wait_error, [self = shared_from_this()](const error_code&) { self->close(); });
}

void Session::restart_timer()
{
    timer_.expires_after(patience_);
    timer_.async_wait([self = shared_from_this()](const error_code& error) {
        if (!error) {
            self->close();
        }
    });
}

void Session::read()
{
    restart_timer();
    asio::async_read_until(socket_, asio::dynamic_buffer(input_, request_limit), '\n',
                           [self = shared_from_this()](const error_code& error, std::size_t size) {
                               if (error == asio::error::not_found) {
                                   self->ending_ = true;
                                   self->answer(self->verbs_.refusal(Exit::usage, "the request is too long"));
                               } else if (error) {
                                   self->close();
                               } else {
                                   self->received(size);
                               }
                           });
}

void Session::received(std::size_t size)
{
    timer_.cancel();
    const std::string request_text = input_.substr(0, size - 1);
    input_.erase(0, size);
    answering_ = true;
    const auto request = Request::parse(request_text);
    if (!request) {
        answer(verbs_.refusal(Exit::usage, request.error()));
        return;
    }
    verbs_.handle(*request, caller_, shared_from_this());
}

void Session::answer(boost::json::object object)
{
    answering_ = false;
    line(object);
}

void Session::line(const boost::json::object& object)
{
    if (closed_) {
        return;
    }
    if (waiting_.size() > waiting_limit) {
        close();
        return;
    }
    waiting_ += boost::json::serialize(object);
    waiting_ += '\n';
    if (!writing_) {
        write();
    }
}

void Session::end()
{
    if (closed_) {
        return;
    }
    answering_ = false;
    ending_ = true;
    if (!writing_) {
        written();
    }
}

bool Session::congested() const { return closed_ || waiting_.size() > congestion_mark; }

void Session::when_writable(std::function<void()> go_on)
{
    if (closed_) {
        return;
    }
    go_on_ = std::move(go_on);
    if (!congested()) {
        asio::post(socket_.get_executor(), [self = shared_from_this()] {
            if (const auto next = std::exchange(self->go_on_, nullptr)) {
                next();
            }
        });
    }
}

void Session::when_left(std::function<void()> left) { left_ = std::move(left); }

void Session::when_finished(std::function<void()> finished)
{
    socket_.async_wait(Socket::wait_read, [self = shared_from_this(),
                                           finished = std::move(finished)](const error_code& error) {
        // Half-closed, or readable because of a request that has to wait for its turn.
        char next = 0;
        if (!error && !self->closed_ && recv(self->socket_.native_handle(), &next, 1, MSG_PEEK | MSG_DONTWAIT) == 0) {
            finished();
        }
    });
}

void Session::write()
{
    writing_ = true;
    sending_.swap(waiting_);
    waiting_.clear();
    restart_timer();
    asio::async_write(socket_, asio::buffer(sending_),
                      [self = shared_from_this()](const error_code& error, std::size_t) {
                          self->writing_ = false;
                          self->sending_.clear();
                          if (error) {
                              self->close();
                          } else {
                              self->timer_.cancel();
                              self->written();
                          }
                      });
}

void Session::written()
{
    if (!waiting_.empty()) {
        write();
    } else if (ending_) {
        close();
    } else if (!answering_) {
        read();
    }
    if (!congested()) {
        if (const auto next = std::exchange(go_on_, nullptr)) {
            next();
        }
    }
}

} // namespace sluice::control
