// How bytes get into a Received: by handing over a ring's block, or by a copy where the ring must keep it.
#pragma once

#include "tcp/buffers.hpp"

#include <sluice/tcp/received.hpp>

namespace sluice::tcp {

struct ReceivedAccess {
    /// Copies the first bytes of `from` behind those that `to` has, as far as there is room without a wrap.
    static std::size_t append(Received& to, const ByteRing& from, std::size_t size) noexcept;
    /// Copies the first bytes of `from` into a block of their own; fewer, or none, when memory is short.
    static std::size_t copy(Received& to, BufferPool& pool, const ByteRing& from, std::size_t size) noexcept;
    /// `to` is empty.
    static void adopt(Received& to, BufferPool& pool, const ByteRing::Block& block, std::size_t size) noexcept;
};

} // namespace sluice::tcp
