// Turns the fields of an HTTP/2 header block into a RequestHead and judges them: RFC 9113 section 8.
#pragma once

#include <sluice/http/http2.hpp>

#include <optional>

namespace sluice::http::http2 {

/// One per stream. After a refusal further fields are ignored.
class RequestAssembler {
public:
    /// One field of the request's header block, in order.
    void add_header(std::string_view name, std::string_view value, const Limits& limits);
    /// One field of the trailer section.
    void add_trailer(std::string_view name, std::string_view value, const Limits& limits);
    /// The header block is complete: pseudo-header fields, host, target, Content-Length.
    void finish_headers(const Limits& limits, bool end_of_stream);
    /// Counts body bytes against Content-Length.
    void add_data(std::size_t bytes) noexcept;
    /// The request is complete.
    void finish_request() noexcept;

    /// The first reason counts.
    void refuse(Reason reason) noexcept;
    [[nodiscard]] const std::optional<Reason>& refusal() const noexcept { return refusal_; }
    [[nodiscard]] RequestHead& head() noexcept { return head_; }
    [[nodiscard]] Fields& trailers() noexcept { return trailers_; }

private:
    enum Pseudo : std::uint8_t { method = 1, scheme = 2, authority = 4, path = 8 };

    [[nodiscard]] bool within_limits(std::string_view name, std::string_view value, const Limits& limits) noexcept;
    void add_pseudo(std::string_view name, std::string_view value);
    void add_field(std::string_view name, std::string_view value, Fields& fields);
    [[nodiscard]] Expected<void, Reason> resolve(const Limits& limits);
    [[nodiscard]] Expected<void, Reason> resolve_host();
    [[nodiscard]] bool join_cookies();

    RequestHead head_;
    Fields trailers_;
    std::size_t list_bytes_ = 0;
    std::size_t field_count_ = 0;
    std::optional<Reason> refusal_;
    std::optional<std::uint64_t> declared_bytes_;
    std::uint64_t received_bytes_ = 0;
    std::uint8_t pseudo_seen_ = 0;
    bool regular_seen_ = false;
};

} // namespace sluice::http::http2
