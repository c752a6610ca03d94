// Bodies of HTTP/1: RFC 9112 sections 6 and 7.1.
#include <sluice/http/http1.hpp>

#include "http/characters.hpp"
#include "http/field_line.hpp"

#include <algorithm>

namespace sluice::http::http1 {

/// 2^60 - 1: no sum of our own overflows.
static constexpr std::uint8_t longest_chunk_size = 15;
static constexpr std::uint32_t longest_chunk_head = 256;
/// A chunk head of this size is normal; what exceeds it, and twice the chunk's data, adds up towards the limit.
static constexpr std::uint64_t free_chunk_head = 16;
static constexpr std::uint64_t overhead_limit = 16 * 1024;

BodyReader::BodyReader(const Framing& framing, const HeadLimits& trailer_limits) noexcept : limits_{trailer_limits}
{
    switch (framing.kind) {
    case Framing::Kind::none:
        break;
    case Framing::Kind::length:
        remaining_ = framing.length;
        state_ = framing.length == 0 ? State::complete : State::length;
        break;
    case Framing::Kind::chunked:
        state_ = State::chunk_size;
        break;
    case Framing::Kind::until_close:
    case Framing::Kind::tunnel:
        state_ = State::until_close;
        break;
    }
}

BodyReader::Piece BodyReader::refuse(Reason reason, std::size_t consumed) noexcept
{
    state_ = State::refused;
    reason_ = reason;
    return {consumed, Status::refused, {}};
}

Status BodyReader::finish() noexcept
{
    if (state_ == State::until_close) {
        state_ = State::complete;
    }
    if (state_ != State::complete && state_ != State::refused) {
        return refuse(Reason::body_truncated, 0).status;
    }
    return state_ == State::complete ? Status::complete : Status::refused;
}

BodyReader::Piece BodyReader::take_data(Bytes in, std::size_t skipped) noexcept
{
    const Bytes rest = in.subspan(skipped);
    if (state_ == State::until_close) {
        payload_bytes_ += rest.size();
        return {in.size(), Status::need_more, rest};
    }
    const Bytes data = rest.first(static_cast<std::size_t>(std::min<std::uint64_t>(remaining_, rest.size())));
    remaining_ -= data.size();
    payload_bytes_ += data.size();
    if (remaining_ == 0) {
        state_ = state_ == State::length ? State::complete : State::chunk_data_cr;
    }
    return {skipped + data.size(), state_ == State::complete ? Status::complete : Status::need_more, data};
}

BodyReader::Piece BodyReader::next(Bytes in)
{
    std::size_t at = 0;
    while (true) {
        switch (state_) {
        case State::complete:
            return {at, Status::complete, {}};
        case State::refused:
            return {at, Status::refused, {}};
        case State::trailers:
            return next_trailers(in, at);
        case State::length:
        case State::until_close:
        case State::chunk_data:
            return take_data(in, at);
        case State::chunk_size:
        case State::chunk_extension:
        case State::chunk_size_lf:
        case State::chunk_data_cr:
        case State::chunk_data_lf:
            if (at == in.size()) {
                return {at, Status::need_more, {}};
            }
            if (!step_chunk_frame(static_cast<char>(in[at]))) {
                return {at, Status::refused, {}};
            }
            ++at;
            break;
        }
    }
}

bool BodyReader::step_chunk_frame(char byte) noexcept
{
    const auto refused = [this, byte](Reason reason) {
        refuse(byte == '\n' ? Reason::bare_lf : reason, 0);
        return false;
    };
    if (state_ == State::chunk_data_cr || state_ == State::chunk_data_lf) {
        if (byte != (state_ == State::chunk_data_cr ? '\r' : '\n')) {
            return refused(Reason::chunk_end_invalid);
        }
        state_ = state_ == State::chunk_data_cr ? State::chunk_data_lf : State::chunk_size;
        return true;
    }
    if (state_ == State::chunk_size_lf) {
        return byte == '\n' ? end_chunk_head() : refused(Reason::bare_cr);
    }
    if (++chunk_head_bytes_ > longest_chunk_head) {
        return refused(Reason::chunk_overhead);
    }
    if (byte == '\r') {
        state_ = State::chunk_size_lf;
        return size_digits_ != 0 || refused(Reason::chunk_size_invalid);
    }
    if (state_ == State::chunk_extension) {
        return is(value_character, byte) || refused(Reason::chunk_extension_invalid);
    }
    if (byte == ';' && size_digits_ != 0) {
        state_ = State::chunk_extension;
        return true;
    }
    if (!is(hex_character, byte) || ++size_digits_ > longest_chunk_size) {
        return refused(Reason::chunk_size_invalid);
    }
    remaining_ = remaining_ * 16 + hex_value(byte);
    return true;
}

bool BodyReader::end_chunk_head() noexcept
{
    const std::uint64_t allowed = free_chunk_head + 2 * remaining_;
    overhead_bytes_ += chunk_head_bytes_;
    overhead_bytes_ -= std::min(overhead_bytes_, allowed);
    if (overhead_bytes_ > overhead_limit) {
        refuse(Reason::chunk_overhead, 0);
        return false;
    }
    chunk_head_bytes_ = 0;
    size_digits_ = 0;
    state_ = remaining_ == 0 ? State::trailers : State::chunk_data;
    return true;
}

BodyReader::Piece BodyReader::next_trailers(Bytes in, std::size_t skipped)
{
    const std::string_view text = as_text(in);
    while (skipped < text.size()) {
        const LineReader::Line line = lines_.next(text.substr(skipped, limits_.header_bytes - trailer_bytes_ + 1));
        skipped += line.consumed;
        trailer_bytes_ += static_cast<std::uint32_t>(line.consumed);
        if (trailer_bytes_ > limits_.header_bytes) {
            return refuse(Reason::header_too_large, skipped);
        }
        if (!line.complete) {
            break;
        }
        if (line.bare_lf) {
            return refuse(Reason::bare_lf, skipped);
        }
        if (line.text.empty()) {
            state_ = State::complete;
            return {skipped, Status::complete, {}};
        }
        if (const auto parsed = parse_field_line(line.text, limits_.field_count, trailers_); !parsed) {
            return refuse(parsed.error(), skipped);
        }
        if (is_forbidden_trailer(trailers_[trailers_.size() - 1].name)) {
            return refuse(Reason::trailer_forbidden, skipped);
        }
    }
    return {skipped, Status::need_more, {}};
}

} // namespace sluice::http::http1
