// Heads of responses: cut anywhere they mean the same, and Beast reads what is accepted as the same response.
#include "fuzz/beast_oracle.hpp"

#include <sluice/http/http1.hpp>

#include <cstdlib>

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

void compare_with_beast(const ResponseHead& head, std::string text)
{
    if (text[12] == '\r') {
        text.insert(12, " "); // Beast insists on the space before an empty reason phrase
    }
    const auto beast = http::test::BeastParser<false>::read(text);
    const auto framing = response_framing(head, "GET");
    if (beast.error == boost::beast::http::error::bad_value || !framing) {
        return; // lists with members that are no tokens; framing that only we refuse or only Beast judges here
    }
    require(!beast.error || beast.error == boost::beast::http::error::need_more);
    require(beast.status == head.status);
    require(beast.chunked == (framing->kind == Framing::Kind::chunked) || !framing->has_body() || head.status == 101);
    require(framing->kind != Framing::Kind::length || beast.content_length == framing->length);
    require(beast.fields.size() == head.fields.size());
    for (std::size_t at = 0; at < beast.fields.size(); ++at) {
        require(head.fields[at].name == beast.fields[at].first && head.fields[at].value == beast.fields[at].second);
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    if (size < 2) {
        return 0;
    }
    const std::string_view text{reinterpret_cast<const char*>(data) + 2, size - 2};
    const std::size_t cut = text.empty() ? 0 : (data[0] | static_cast<std::size_t>(data[1]) << 8U) % (text.size() + 1);
    const HeadLimits limits{.header_bytes = 4096, .target_bytes = 1024, .field_count = 32};
    ResponseParser whole{limits};
    const Progress progress = whole.feed(as_bytes(text));
    ResponseParser parts{limits};
    Progress split = parts.feed(as_bytes(text.substr(0, cut)));
    if (split.status == Status::need_more) {
        require(split.consumed == cut);
        split = parts.feed(as_bytes(text.substr(cut)));
        split.consumed += cut;
    }
    require(split.status == progress.status && split.consumed == progress.consumed);
    if (split.status == Status::refused) {
        require(whole.reason() == parts.reason());
    }
    if (split.status == Status::complete) {
        compare_with_beast(whole.head(), std::string{text.substr(0, progress.consumed)});
        std::string out;
        append_response_head(out, whole.head());
        ResponseParser again;
        require(again.feed(as_bytes(out)).status == Status::complete);
        require(again.head().fields.size() == whole.head().fields.size());
    }
    return 0;
}
