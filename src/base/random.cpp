#include <sluice/base/random.hpp>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <sys/random.h>

namespace sluice {

void fill_secret(MutableBytes out) noexcept
{
    std::size_t filled = 0;
    while (filled < out.size()) {
        const ssize_t got = getrandom(out.data() + filled, out.size() - filled, 0);
        if (got < 0) {
            if (errno == EINTR) {
                continue;
            }
            std::fputs("sluice: getrandom failed: no secret can be made\n", stderr);
            std::abort();
        }
        filled += static_cast<std::size_t>(got);
    }
}

std::uint64_t random_secret() noexcept
{
    std::uint64_t value = 0;
    fill_secret(std::as_writable_bytes(std::span{&value, 1}));
    return value;
}

HashKey random_hash_key() noexcept { return {random_secret(), random_secret()}; }

} // namespace sluice
