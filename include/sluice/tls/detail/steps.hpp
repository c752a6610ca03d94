// What each operation of tls::Stream asks of the Engine. Included by operations.hpp alone.
#pragma once

#include <sluice/tls/engine.hpp>

#include <boost/asio/buffer.hpp>

#include <cstddef>

namespace sluice::tls::detail {

[[nodiscard]] inline MutableBytes bytes_of(const boost::asio::mutable_buffer& buffer) noexcept
{
    return {static_cast<std::byte*>(buffer.data()), buffer.size()};
}

[[nodiscard]] inline Bytes bytes_of(const boost::asio::const_buffer& buffer) noexcept
{
    return {static_cast<const std::byte*>(buffer.data()), buffer.size()};
}

// The steps. `run` asks the engine once; `drains` says that the output must have left before the operation completes,
// `cancels_without_loss` that a cancelled operation may be started again.

struct Handshake {
    static constexpr bool drains = true;
    static constexpr bool has_size = false;
    static constexpr bool cancels_without_loss = false;

    Transfer run(Engine& engine) const noexcept { return {engine.handshake(), 0}; }
};

template <class Buffers>
struct Read {
    static constexpr bool drains = false;
    static constexpr bool has_size = true;
    static constexpr bool cancels_without_loss = true;

    Buffers buffers;

    /// Into the first buffer that has room: what is decrypted at once is one record at most in nearly every case.
    Transfer run(Engine& engine) const noexcept
    {
        const auto end = boost::asio::buffer_sequence_end(buffers);
        for (auto at = boost::asio::buffer_sequence_begin(buffers); at != end; ++at) {
            const MutableBytes into = bytes_of(boost::asio::mutable_buffer{*at});
            if (!into.empty()) {
                return engine.read(into);
            }
        }
        return {};
    }
};

template <class Buffers>
struct Write {
    static constexpr bool drains = true;
    static constexpr bool has_size = true;
    static constexpr bool cancels_without_loss = false;

    Buffers buffers;

    Transfer run(Engine& engine) const noexcept
    {
        RecordGatherer record{engine};
        const auto end = boost::asio::buffer_sequence_end(buffers);
        for (auto at = boost::asio::buffer_sequence_begin(buffers); at != end && record.has_room(); ++at) {
            record.add(bytes_of(boost::asio::const_buffer{*at}));
        }
        return record.write();
    }
};

struct WaitReadable {
    static constexpr bool drains = false;
    static constexpr bool has_size = false;
    static constexpr bool cancels_without_loss = true;

    Transfer run(Engine& engine) const noexcept
    {
        return {engine.input_pending() ? Status::ok : Status::want_input, 0};
    }
};

struct Shutdown {
    static constexpr bool drains = true;
    static constexpr bool has_size = false;
    static constexpr bool cancels_without_loss = false;

    Transfer run(Engine& engine) const noexcept { return {engine.shutdown(), 0}; }
};

} // namespace sluice::tls::detail
