#include "files.hpp"
#include "openssl.hpp"

#include <sluice/base/random.hpp>
#include <sluice/tls/ticket_keys.hpp>

#include <openssl/crypto.h>

#include <algorithm>
#include <utility>

namespace sluice::tls {
namespace {

constexpr std::size_t narrow_size = 48;
constexpr std::size_t wide_size = 80;

template <std::size_t Size>
void take(Bytes& from, std::array<std::byte, Size>& into, std::size_t bytes) noexcept
{
    std::copy_n(from.begin(), bytes, into.begin());
    from = from.subspan(bytes);
}

} // namespace

TicketKey::~TicketKey()
{
    OPENSSL_cleanse(cipher_key.data(), cipher_key.size());
    OPENSSL_cleanse(mac_key.data(), mac_key.size());
}

TicketKeys::TicketKeys(std::vector<TicketKey> keys) : keys_{std::move(keys)} {}

Expected<TicketKey, LoadError> TicketKeys::parse(Bytes bytes, std::string_view source)
{
    if (bytes.size() != narrow_size && bytes.size() != wide_size) {
        const std::string file{source};
        return failure(
            LoadError{.kind = LoadError::Kind::malformed,
                      .file = file,
                      .message = file + ": a ticket key has 80 bytes (or 48), this has " + std::to_string(bytes.size()),
                      .remedy = "openssl rand -out " + file + " 80"});
    }
    TicketKey key;
    key.wide = bytes.size() == wide_size;
    take(bytes, key.name, 16);
    if (key.wide) {
        take(bytes, key.mac_key, 32);
        take(bytes, key.cipher_key, 32);
    } else {
        take(bytes, key.cipher_key, 16);
        take(bytes, key.mac_key, 16);
    }
    return key;
}

Expected<std::shared_ptr<const TicketKeys>, LoadError> TicketKeys::load(std::span<const std::string> paths)
{
    if (paths.empty()) {
        return failure(
            LoadError{.message = "ticket_keys names no file", .remedy = "name one, or leave ticket_keys out"});
    }
    std::vector<TicketKey> keys;
    keys.reserve(paths.size());
    for (const std::string& path : paths) {
        auto content = read_file(path, Secrecy::secret);
        if (!content) {
            return failure(std::move(content.error()));
        }
        auto key = parse(std::as_bytes(std::span{*content}), path);
        OPENSSL_cleanse(content->data(), content->size());
        if (!key) {
            return failure(std::move(key.error()));
        }
        keys.push_back(*key);
    }
    return std::make_shared<const TicketKeys>(std::move(keys));
}

std::shared_ptr<const TicketKeys> TicketKeys::random()
{
    TicketKey key;
    fill_secret(key.name);
    fill_secret(key.cipher_key);
    fill_secret(key.mac_key);
    return std::make_shared<const TicketKeys>(std::vector<TicketKey>{key});
}

const TicketKey* TicketKeys::find(Bytes name) const noexcept
{
    const auto found = std::find_if(keys_.begin(), keys_.end(),
                                    [name](const TicketKey& key) { return std::ranges::equal(key.name, name); });
    return found != keys_.end() ? &*found : nullptr;
}

} // namespace sluice::tls
