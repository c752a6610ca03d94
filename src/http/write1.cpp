// Serialisers of HTTP/1.
#include <sluice/http/http1.hpp>

#include <charconv>

namespace sluice::http::http1 {

static void append_number(std::string& out, std::uint64_t value, int base)
{
    char digits[24];
    const auto end = std::to_chars(std::begin(digits), std::end(digits), value, base).ptr;
    out.append(digits, end);
}

static void append_fields(std::string& out, const Fields& fields)
{
    for (const Field field : fields) {
        out.append(field.name).append(": ").append(field.value).append("\r\n");
    }
    out.append("\r\n");
}

void append_request_head(std::string& out, const RequestHead& head)
{
    out.append(head.method).append(" ").append(head.path);
    if (head.has_query) {
        out.append("?").append(head.query);
    }
    out.append(" HTTP/1.1\r\nHost: ").append(head.authority).append("\r\n");
    append_fields(out, head.fields);
}

static void append_status_line(std::string& out, std::uint16_t status)
{
    out.append("HTTP/1.1 ");
    append_number(out, status, 10);
    out.append(" ").append(reason_phrase(status)).append("\r\n");
}

void append_response_head(std::string& out, const ResponseHead& head)
{
    append_status_line(out, head.status);
    append_fields(out, head.fields);
}

void append_chunk_start(std::string& out, std::uint64_t bytes)
{
    append_number(out, bytes, 16);
    out.append("\r\n");
}

void append_last_chunk(std::string& out, const Fields& trailers)
{
    out.append("0\r\n");
    append_fields(out, trailers);
}

void append_simple_response(std::string& out, std::uint16_t status, bool close, bool with_body)
{
    std::string body;
    append_number(body, status, 10);
    body.append(" ").append(reason_phrase(status)).append("\n");
    append_status_line(out, status);
    out.append("Content-Type: text/plain\r\nContent-Length: ");
    append_number(out, body.size(), 10);
    out.append(close ? "\r\nConnection: close\r\n\r\n" : "\r\n\r\n");
    if (with_body) {
        out.append(body);
    }
}

} // namespace sluice::http::http1
