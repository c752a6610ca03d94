// Who may open flows, and how fast: lists of networks and rates, judged by a flow's first packet. Flows that exist are
// never asked. The lists are immutable and shared by all cores; the rates belong to one forwarder core each.
#pragma once

#include <sluice/base/siphash.hpp>
#include <sluice/base/time.hpp>
#include <sluice/l4/ids.hpp>
#include <sluice/telemetry/counters.hpp>
#include <sluice/wire/address.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace sluice::l4 {

/// Networks that are let in or kept out. Of the networks that contain an address the longest decides.
class AccessList {
public:
    struct Rule {
        wire::Prefix network;
        bool allow = false;
    };
    /// `otherwise` holds for addresses in no network. Of two rules for one network the later one counts. Control
    /// thread.
    AccessList(std::span<const Rule> rules, bool otherwise);

    /// A binary search: about as many steps as the number of networks has bits. Any core.
    [[nodiscard]] bool allows(const wire::IpAddress& address) const noexcept;

private:
    /// From here on, up to the next one, this is the answer.
    struct Boundary {
        std::uint64_t high = 0;
        std::uint64_t low = 0;
        bool allow = false;
    };
    [[nodiscard]] static std::vector<Boundary> boundaries(std::span<const Rule> rules, bool v4, bool otherwise);

    std::vector<Boundary> v4_;
    std::vector<Boundary> v6_;
};

/// What a service demands of the first packet of a flow.
struct Admission {
    std::shared_ptr<const AccessList> clients; ///< None: everybody
    std::uint32_t new_flows = 0;               ///< Per second, all forwarders together; 0: any number
    std::uint32_t new_flows_per_source = 0;    ///< The same of one IPv4 address or IPv6 /64

    [[nodiscard]] bool asks_nothing() const noexcept
    {
        return clients == nullptr && new_flows == 0 && new_flows_per_source == 0;
    }
};

/// The rates of one forwarder core, which has its equal share of each limit: flows of one source are spread over all
/// cores by their ports. A second's worth may come at once. Memory does not depend on the number of sources: their
/// rates are kept in a sketch (two rows, the lower one counts), in which a source can be held back by others only if
/// one that is over its limit meets it in both rows, by a hash that nobody outside knows.
class FlowRates {
public:
    /// `forwarders`: among how many the limits are shared.
    FlowRates(const HashKey& secret, std::uint16_t forwarders);

    /// Counts a new flow of `source` to the service, or says why it may not be.
    [[nodiscard]] std::optional<telemetry::DropReason> take(ServiceId service, const Admission& admission,
                                                            const wire::IpAddress& source, TimePoint now) noexcept
    {
        return judge(service, admission, source, now, true);
    }
    /// The same answer without counting.
    [[nodiscard]] std::optional<telemetry::DropReason> ask(ServiceId service, const Admission& admission,
                                                           const wire::IpAddress& source, TimePoint now) noexcept
    {
        return judge(service, admission, source, now, false);
    }

private:
    static constexpr std::size_t row_size = 16384;
    static constexpr std::size_t service_places = 4096;

    [[nodiscard]] Duration interval(std::uint32_t per_second) const noexcept;
    [[nodiscard]] std::optional<telemetry::DropReason> judge(ServiceId service, const Admission& admission,
                                                             const wire::IpAddress& source, TimePoint now,
                                                             bool count) noexcept;
    [[nodiscard]] bool source_is_over(ServiceId service, const wire::IpAddress& source, Duration interval,
                                      TimePoint now, bool count) noexcept;

    HashKey secret_;
    std::uint16_t forwarders_;
    std::vector<TimePoint> sources_;  ///< Two rows: when what a source has taken is made up for (GCRA)
    std::vector<TimePoint> services_; ///< The same by service
};

} // namespace sluice::l4
