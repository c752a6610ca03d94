#include <proxy/request.hpp>

namespace sluice::proxy {

Request::Request(Core& core, Exchange& exchange, const RequestContext& context)
    : core_{core}, exchange_{exchange}, plan_{context.plan}, view_{context.view}, sending_done_{core.parts.loop}
{
    ++core_.requests;
    record_.start = context.first_byte;
    stage_ = now();
    record_.header = stage_ - record_.start;
    exchange_.observe(this);
}

Request::~Request()
{
    exchange_.observe(nullptr);
    --core_.requests;
}

tcp::Awaitable<void> Request::serve()
{
    begin_record();
    if (!core_.make_room() && core_.held.exhausted()) [[unlikely]] {
        co_await refuse(Outcome::no_port);
        log();
        co_return;
    }
    route_ = find_route((*plan_)->routes, exchange_.request());
    if (route_ == nullptr) {
        co_await refuse(Outcome::no_route);
    } else if (const auto* pool = std::get_if<std::shared_ptr<const Pool>>(&route_->action)) {
        co_await forward(*pool);
    } else if (const auto* elsewhere = std::get_if<Redirect>(&route_->action)) {
        co_await redirect(*elsewhere);
    } else {
        const auto& fixed = std::get<Respond>(route_->action);
        co_await respond(fixed.status, fixed.content_type, fixed.body, {});
    }
    log();
}

void Request::begin_record()
{
    const http::RequestHead& request = exchange_.request();
    record_.client = view_.client;
    record_.local = view_.local;
    record_.secure = view_.secure;
    record_.service = (*plan_)->name;
    record_.method = request.method;
    record_.host = request.authority;
    record_.target = request.target;
    record_.version = request.version;
    record_.user_agent = request.fields.find("user-agent").value_or(std::string_view{});
}

tcp::Awaitable<void> Request::redirect(const Redirect& redirect)
{
    http::RequestHead& request = exchange_.request();
    if (request.host.empty()) { // HTTP/1.0 need not say whom it means: the address that it came to.
        request.host = view_.local.address.to_string();
        request.port = view_.local.port;
    }
    const std::string location = redirect_location(redirect, request, view_.secure);
    co_await respond(redirect.status, "text/plain", http::reason_phrase(redirect.status), location);
}

tcp::Awaitable<void> Request::respond(std::uint16_t status, std::string_view content_type, std::string_view body,
                                      std::string_view location)
{
    http::ResponseHead head;
    head.status = status;
    const bool silent = http::response_has_no_content(status, exchange_.request().method);
    const bool no_length = status == 204 || status == 304;
    bool fits = location.empty() || head.fields.add("Location", location);
    if (!no_length) {
        fits = fits && (body.empty() || head.fields.add("Content-Type", content_type)) &&
               head.fields.add("Content-Length", std::to_string(body.size()));
    }
    if (route_ != nullptr) {
        fits = fits && apply_rules(head.fields, route_->response_headers);
    }
    if (!fits) {
        head.fields.clear();
        head.status = text(record_.outcome = Outcome::header_rules_overflow).status;
    }
    record_.status = head.status;
    record_.first_byte = now() - stage_;
    stage_ = now();
    using http::http1::Framing;
    const Framing framing = silent ? Framing{} : Framing{Framing::Kind::length, body.size()};
    exchange_.send_head(head, framing);
    bool told = true;
    if (!silent && !body.empty()) {
        told = co_await exchange_.send_body(std::as_bytes(std::span{body}));
    }
    if (told) {
        told = co_await exchange_.finish(nullptr);
    }
    record_.bytes_sent += silent || !told ? 0 : body.size();
    // A client that cannot be told any more what it did wrong has still done it.
    if (!told && text(record_.outcome).side != Side::client) {
        record_.outcome = core_.stopping ? Outcome::stopped : Outcome::client_left;
        record_.status = text(Outcome::client_left).status;
    }
}

tcp::Awaitable<void> Request::refuse(Outcome outcome)
{
    record_.outcome = outcome;
    const OutcomeText& answer = text(outcome);
    if (exchange_.client_gone()) {
        record_.outcome = core_.stopping ? Outcome::stopped : Outcome::client_left;
        record_.status = text(Outcome::client_left).status;
        exchange_.abort();
        co_return;
    }
    std::uint16_t status = answer.status;
    if (outcome == Outcome::malformed) {
        status = http::status_of(exchange_.reason());
    }
    if (status == 0 || outcome == Outcome::client_left || outcome == Outcome::client_stalled) {
        record_.status = status;
        exchange_.abort();
        co_return;
    }
    std::string body = std::to_string(status);
    body += ' ';
    body += http::reason_phrase(status);
    body += '\n';
    co_await respond(status, "text/plain", body, {});
}

void Request::log() noexcept
{
    record_.response = now() - stage_;
    record_.total = now() - record_.start;
    if (record_.outcome == Outcome::malformed) {
        record_.reason = exchange_.reason();
        record_.has_reason = true;
    }
    if (record_.has_reason) {
        core_.reasons.count(record_.reason);
    }
    core_.outcomes.count(record_.outcome);
    core_.parts.environment.record_access(record_);
}

void Request::client_left() noexcept
{
    if (connecting_ != nullptr) {
        connecting_->cancel();
    }
    if (upstream_) {
        upstream_->transport.cancel();
        upstream_->input.wake();
    }
}

} // namespace sluice::proxy
