// What the node answers to each verb of sluicectl. Control thread only.
#pragma once

#include <sluice/control/operations.hpp>
#include <sluice/control/protocol.hpp>

#include <functional>
#include <memory>
#include <string>

namespace sluice::control {

/// Who asks.
struct Caller {
    bool may_change = false;
    std::string who; ///< "root", "uid 1000"
};

/// Where the answer to one request goes. An answer may come later; a caller who has left is no error.
class Reply {
public:
    virtual ~Reply() = default;
    /// The only object of the answer.
    virtual void answer(boost::json::object object) = 0;
    /// One object of many.
    virtual void line(const boost::json::object& object) = 0;
    /// No more lines.
    virtual void end() = 0;
    /// Enough is waiting to be sent; call when_writable() and return.
    [[nodiscard]] virtual bool congested() const = 0;
    /// Calls `go_on` once, later, when there is room; never when the caller has left.
    virtual void when_writable(std::function<void()> go_on) = 0;
    /// Calls `left` once, later, when the caller has left or the answer has ended.
    virtual void when_left(std::function<void()> left) = 0;
    /// Calls `finished` once, later, when the caller has said that it will ask nothing more: a request to come to the
    /// end.
    virtual void when_finished(std::function<void()> finished) = 0;
};

class Verbs {
public:
    explicit Verbs(Operations& operations) noexcept : operations_{operations} {}

    /// Answers, now or later. Whatever is wrong with the request becomes an answer too.
    void handle(const Request& request, const Caller& caller, std::shared_ptr<Reply> reply);
    /// An answer that says no.
    [[nodiscard]] boost::json::object refusal(Exit exit, std::string_view error, std::string_view hint = {}) const;

private:
    using Answer = boost::json::object;
    struct Verb;
    [[nodiscard]] static const Verb* find(std::string_view name) noexcept;

    Answer drain(const Request& request, const Caller& caller, bool drained);
    Answer reload(const Request& request);
    Answer plan();
    Answer explain(const Request& request);
    Answer config(const Request& request);
    Answer log(const Request& request);
    void handover(const Request& request, std::shared_ptr<Reply> reply);
    void connections(const Request& request, std::shared_ptr<Reply> reply);
    void events(const Request& request, std::shared_ptr<Reply> reply);
    void capture(const Request& request, const std::shared_ptr<Reply>& reply);

    Operations& operations_;
};

} // namespace sluice::control
