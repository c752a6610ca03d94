// Heads of requests: cut anywhere they mean the same; what is accepted is what Beast reads too, and what we write from
// it reads back as the same request.
#include "fuzz/beast_oracle.hpp"

#include <sluice/http/http1.hpp>

#include <cstdlib>
#include <span>

using namespace sluice;
using namespace sluice::http;
using namespace sluice::http::http1;

namespace {

void require(bool condition)
{
    if (!condition) {
        std::abort();
    }
}

Bytes as_bytes(std::string_view text) { return {reinterpret_cast<const std::byte*>(text.data()), text.size()}; }

constexpr HeadLimits limits{.header_bytes = 4096, .target_bytes = 1024, .field_count = 32};

/// Feeds in two pieces; returns the total consumed.
std::size_t feed(RequestParser& parser, std::string_view text, std::size_t cut, Status& status)
{
    const Progress first = parser.feed(as_bytes(text.substr(0, cut)));
    status = first.status;
    if (first.status != Status::need_more) {
        return first.consumed;
    }
    require(first.consumed == cut);
    const Progress second = parser.feed(as_bytes(text.substr(cut)));
    status = second.status;
    return cut + second.consumed;
}

void compare_with_beast(const RequestParser& parser, std::string_view text)
{
    const RequestHead& head = parser.head();
    if (text.starts_with("\r\n")) {
        text.remove_prefix(2); // Beast takes no empty line there
    }
    const auto beast = http::test::BeastParser<true>::read(text);
    if (beast.error == boost::beast::http::error::bad_value) {
        return; // a Connection or Upgrade list with a member that is no token, which names nothing
    }
    require(!beast.error || beast.error == boost::beast::http::error::need_more);
    require(beast.method == head.method);
    require(beast.target == head.target);
    require(beast.version == (head.version == Version::http11 ? 11 : 10));
    require(beast.chunked == (parser.framing().kind == Framing::Kind::chunked));
    if (parser.framing().kind == Framing::Kind::length) {
        require(beast.content_length == parser.framing().length);
    } else {
        require(!beast.content_length || *beast.content_length == 0);
    }
    std::size_t at = 0;
    for (const auto& [name, value] : beast.fields) {
        if (equal_ignoring_case(name, "host")) {
            require(value == head.authority);
            continue;
        }
        if (head.version == Version::http10 && equal_ignoring_case(name, "expect")) {
            continue; // taken out, as RFC 9110 wants it ignored
        }
        require(at < head.fields.size() && head.fields[at].name == name && head.fields[at].value == value);
        ++at;
    }
    require(at == head.fields.size());
}

void write_and_read_back(RequestParser& parser)
{
    RequestHead& head = parser.head();
    const Framing framing = parser.framing();
    remove_hop_by_hop(head.fields);
    require(set_framing(head.fields, framing));
    if (head.version == Version::http10 && head.authority.empty()) {
        head.authority = "default";
    }
    std::string out;
    append_request_head(out, head);
    RequestParser again;
    const Progress progress = again.feed(as_bytes(out));
    require(progress.status == Status::complete && progress.consumed == out.size());
    require(again.head().path == head.path);
    require(again.head().query == head.query && again.head().has_query == head.has_query);
    require(again.head().method == head.method && again.head().authority == head.authority);
    require(again.framing() == framing);
    require(again.head().fields.size() == head.fields.size());
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    if (size < 2) {
        return 0;
    }
    const std::string_view text{reinterpret_cast<const char*>(data) + 2, size - 2};
    const std::size_t cut = text.empty() ? 0 : (data[0] | static_cast<std::size_t>(data[1]) << 8U) % (text.size() + 1);
    RequestParser whole{limits};
    const Progress progress = whole.feed(as_bytes(text));
    RequestParser parts{limits};
    Status status{};
    const std::size_t consumed = feed(parts, text, cut, status);
    require(status == progress.status && consumed == progress.consumed);
    if (status == Status::refused) {
        require(whole.reason() == parts.reason() && status_of(whole.reason()) >= 400);
    }
    if (status == Status::complete) {
        compare_with_beast(whole, text.substr(0, progress.consumed));
        write_and_read_back(whole);
    }
    return 0;
}
