// Boost.Beast's parser as a second opinion on heads of HTTP/1. It is the more tolerant one: whatever we accept, it must
// accept too and read as the same message.
#pragma once

#include <boost/beast/http/basic_parser.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sluice::http::test {

struct BeastHead {
    std::string method;
    std::string target;
    int status = 0;
    int version = 0;
    bool chunked = false;
    std::optional<std::uint64_t> content_length;
    std::vector<std::pair<std::string, std::string>> fields;
    boost::beast::error_code error;
};

template <bool is_request>
class BeastParser final : public boost::beast::http::basic_parser<is_request> {
    using Base = boost::beast::http::basic_parser<is_request>;
    using Text = boost::beast::string_view;
    using Error = boost::beast::error_code;

public:
    /// Reads the head at the start of `text`.
    [[nodiscard]] static BeastHead read(std::string_view text)
    {
        BeastParser parser;
        parser.header_limit(1U << 30U);
        parser.body_limit(boost::none);
        BeastHead& head = parser.head_;
        parser.put(boost::asio::const_buffer{text.data(), text.size()}, head.error);
        if (!head.error && parser.is_header_done()) {
            head.chunked = parser.chunked();
            if (parser.content_length()) {
                head.content_length = *parser.content_length();
            }
        }
        return std::move(head);
    }

private:
    static std::string copy(Text text) { return {text.data(), text.size()}; }

    void on_request_impl(boost::beast::http::verb, Text method, Text target, int version, Error&) override
    {
        head_.method = copy(method);
        head_.target = copy(target);
        head_.version = version;
    }
    void on_response_impl(int status, Text, int version, Error&) override
    {
        head_.status = status;
        head_.version = version;
    }
    void on_field_impl(boost::beast::http::field, Text name, Text value, Error&) override
    {
        head_.fields.emplace_back(copy(name), copy(value));
    }
    void on_header_impl(Error&) override {}
    void on_body_init_impl(const boost::optional<std::uint64_t>&, Error&) override {}
    std::size_t on_body_impl(Text body, Error&) override { return body.size(); }
    void on_chunk_header_impl(std::uint64_t, Text, Error&) override {}
    std::size_t on_chunk_body_impl(std::uint64_t, Text body, Error&) override { return body.size(); }
    void on_finish_impl(Error&) override {}

    BeastHead head_;
};

} // namespace sluice::http::test
