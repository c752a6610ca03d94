// An allocator with a cap for one nghttp2 session.
#pragma once

#include <cstddef>
#include <nghttp2/nghttp2.h>

namespace sluice::http::http2 {

/// Beyond the cap allocations fail, which nghttp2 reports as NGHTTP2_ERR_NOMEM. Must outlive the session.
class CappedMemory {
public:
    explicit CappedMemory(std::size_t cap_bytes) noexcept : cap_bytes_{cap_bytes} {}
    CappedMemory(const CappedMemory&) = delete;
    CappedMemory& operator=(const CappedMemory&) = delete;

    /// What nghttp2_session_server_new3() takes; points to this object.
    [[nodiscard]] nghttp2_mem interface() noexcept;
    [[nodiscard]] std::size_t used_bytes() const noexcept { return used_bytes_; }

private:
    [[nodiscard]] void* allocate(std::size_t bytes, bool zero) noexcept;
    [[nodiscard]] void* reallocate(void* old, std::size_t bytes) noexcept;
    void release(void* memory) noexcept;

    std::size_t cap_bytes_;
    std::size_t used_bytes_ = 0;
};

} // namespace sluice::http::http2
