// What the first fragment of a packet taught about the rest: bounded in entries, time and parts. One core.
#pragma once

#include <sluice/base/siphash.hpp>
#include <sluice/base/time.hpp>
#include <sluice/wire/address.hpp>
#include <sluice/wire/parse.hpp>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>

namespace sluice::l4 {

class FragmentMap {
public:
    static constexpr std::size_t sets = 256;
    static constexpr std::size_t ways = 8;
    static constexpr Duration lifetime = std::chrono::seconds{5};
    /// A datagram of 64 KiB over a link of 576 bytes, and some.
    static constexpr std::uint16_t maximum_parts = 128;

    /// Identifications given out are `forwarder` modulo `forwarders`, so that no two forwarders give out the same.
    FragmentMap(const HashKey& key, std::uint16_t forwarder, std::uint16_t forwarders);

    struct Learned {
        std::uint16_t source_port = 0;
        std::uint16_t destination_port = 0;
        std::uint32_t identification = 0; ///< To send on with: servers see many clients as one source
    };
    enum class Problem : std::uint8_t { unknown, limit };
    struct Result {
        std::optional<Learned> learned;
        Problem problem = Problem::unknown; ///< Meaningful when nothing was learned
    };

    /// A first fragment with its ports. The same one again (duplicated) gives the same answer; one that contradicts is
    /// refused as `unknown`.
    [[nodiscard]] Result first(const wire::ParsedPacket& fragment, TimePoint now) noexcept;
    /// A later fragment.
    [[nodiscard]] Result later(const wire::ParsedPacket& fragment, TimePoint now) noexcept;

private:
    struct Entry {
        wire::IpAddress source;
        wire::IpAddress destination;
        std::uint32_t identification = 0;
        std::uint8_t protocol = 0; ///< 0: free
        std::uint16_t parts = 0;
        TimePoint deadline{};
        Learned learned;
    };
    using Set = std::array<Entry, ways>;

    [[nodiscard]] Set& set_of(const wire::ParsedPacket& fragment) noexcept;
    [[nodiscard]] static Entry* find(Set& set, const wire::ParsedPacket& fragment, TimePoint now) noexcept;
    [[nodiscard]] static Result another_part(Entry& entry) noexcept;

    HashKey key_;
    std::uint32_t next_identification_;
    std::uint32_t stride_;
    std::unique_ptr<std::array<Set, sets>> entries_;
};

} // namespace sluice::l4
