// Nodes with their VRRP on links that lose, delay and cut, in virtual time. Everything follows from one seed.
#pragma once

#include <sluice/base/random.hpp>
#include <sluice/vrrp/manager.hpp>
#include <sluice/vrrp/timers.hpp>
#include <sluice/wire/parse.hpp>

#include <array>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace sluice::vrrp::simulation {

using namespace std::chrono_literals;

inline constexpr Duration tick = 500us;

/// How a node is configured; every link carries one instance of each node, and all of them form one group.
struct NodePlan {
    std::uint8_t priority = 100;
    bool preempt = true;
    Duration interval = 100ms;
};

class Cluster;

class Machine final : public Output {
public:
    Machine(Cluster& cluster, std::size_t number, NodePlan plan) : cluster_{cluster}, number_{number}, plan_{plan} {}

    void start(TimePoint now);
    /// SIGKILL: not a word.
    void crash() { manager_.reset(); }
    void stop(TimePoint now) { manager_->stop(now); }
    void reload(NodePlan plan, TimePoint now);
    void stall(TimePoint until) { stalled_until_ = until; }
    void turn(TimePoint now);
    void deliver(std::size_t link, std::vector<std::byte> frame);

    [[nodiscard]] bool runs(TimePoint now) const { return manager_ != nullptr && now >= stalled_until_; }
    [[nodiscard]] bool eligible(TimePoint now) const
    {
        return runs(now) && manager_->table().groups().front().obstacle() == Obstacle::none;
    }
    /// Answers for the addresses.
    [[nodiscard]] bool serves(TimePoint now) const { return runs(now) && held_ > 0; }
    [[nodiscard]] Manager& manager() { return *manager_; }
    [[nodiscard]] const NodePlan& plan() const { return plan_; }
    [[nodiscard]] std::size_t transitions() const { return transitions_; }

private:
    void send(std::uint8_t port, Bytes frame) noexcept override;
    void set_address(std::uint8_t, const wire::IpAddress&, const wire::MacAddress&,
                     Ownership ownership) noexcept override;
    void announce(std::uint8_t, const wire::IpAddress&, const wire::MacAddress&) noexcept override {}
    void report(const Event& event) noexcept override { transitions_ += event.kind == Event::Kind::transition ? 1 : 0; }
    [[nodiscard]] std::shared_ptr<Table> table() const;

    Cluster& cluster_;
    std::size_t number_;
    NodePlan plan_;
    telemetry::CoreCounters counters_;
    std::unique_ptr<Manager> manager_;
    TimePoint stalled_until_{};
    int held_ = 0;
    std::size_t transitions_ = 0;
    struct Mail {
        std::size_t link;
        std::vector<std::byte> frame;
    };
    std::vector<Mail> mail_;
};

class Cluster {
public:
    Cluster(std::uint64_t seed, std::vector<NodePlan> plans, std::size_t links) : random{seed}, links_{links}
    {
        for (const NodePlan& plan : plans) {
            machines.push_back(std::make_unique<Machine>(*this, machines.size(), plan));
        }
        cut.assign(links, std::vector<std::vector<bool>>(plans.size(), std::vector<bool>(plans.size(), false)));
    }

    void send(std::size_t from, std::size_t link, Bytes frame)
    {
        for (std::size_t to = 0; to < machines.size(); ++to) {
            if (to == from || cut[link][from][to] || random.chance(loss_millionths)) {
                continue;
            }
            const Duration delay = 20us + Duration{static_cast<std::int64_t>(random.below(2'000'000))};
            flying_.push_back({now + delay, to, link, {frame.begin(), frame.end()}});
        }
    }
    void step()
    {
        now += tick;
        for (std::size_t index = 0; index < flying_.size();) {
            if (flying_[index].arrival <= now) {
                machines[flying_[index].to]->deliver(flying_[index].link, std::move(flying_[index].frame));
                flying_[index] = std::move(flying_.back());
                flying_.pop_back();
            } else {
                ++index;
            }
        }
        for (auto& machine : machines) {
            if (machine->runs(now)) {
                machine->turn(now);
            }
        }
    }
    [[nodiscard]] std::size_t active() const
    {
        std::size_t count = 0;
        for (const auto& machine : machines) {
            count += machine->serves(now) ? 1 : 0;
        }
        return count;
    }
    [[nodiscard]] bool any_eligible() const
    {
        for (const auto& machine : machines) {
            if (machine->eligible(now)) {
                return true;
            }
        }
        return false;
    }
    /// Every pair hears each other on at least one link.
    [[nodiscard]] bool connected() const
    {
        for (std::size_t left = 0; left < machines.size(); ++left) {
            for (std::size_t right = left + 1; right < machines.size(); ++right) {
                bool whole = false;
                for (const auto& link : cut) {
                    whole = whole || (!link[left][right] && !link[right][left]);
                }
                if (!whole) {
                    return false;
                }
            }
        }
        return true;
    }
    void heal()
    {
        for (auto& link : cut) {
            for (auto& row : link) {
                row.assign(row.size(), false);
            }
        }
    }
    [[nodiscard]] std::size_t links() const { return links_; }

    Random random;
    TimePoint now{1000s};
    std::vector<std::unique_ptr<Machine>> machines;
    std::uint32_t loss_millionths = 0;
    std::vector<std::vector<std::vector<bool>>> cut; ///< [link][from][to]

private:
    struct Flying {
        TimePoint arrival;
        std::size_t to;
        std::size_t link;
        std::vector<std::byte> frame;
    };
    std::size_t links_;
    std::vector<Flying> flying_;
};

inline std::shared_ptr<Table> Machine::table() const
{
    std::vector<Parameters> instances;
    for (std::size_t link = 0; link < cluster_.links(); ++link) {
        Parameters parameters;
        parameters.name = "link" + std::to_string(link);
        parameters.group = "edge";
        parameters.port = static_cast<std::uint8_t>(link);
        parameters.vrid = 51;
        parameters.priority = plan_.priority;
        parameters.preempt = plan_.preempt;
        parameters.advert_interval = plan_.interval;
        parameters.source = wire::IpAddress::v4(0xc0000201U + static_cast<std::uint32_t>(number_));
        parameters.addresses = {wire::IpAddress::v4(0xc0000264U)};
        instances.push_back(std::move(parameters));
    }
    return std::make_shared<Table>(std::move(instances), std::vector<TrackedState>{});
}

inline void Machine::start(TimePoint now)
{
    held_ = 0;
    mail_.clear();
    stalled_until_ = {};
    manager_ = std::make_unique<Manager>(static_cast<Output&>(*this), counters_);
    manager_->replace(table(), now);
    manager_->set_ready(true, now);
}

inline void Machine::reload(NodePlan plan, TimePoint now)
{
    plan_ = plan;
    held_ = 0; // Said again for every address by the reload.
    manager_->replace(table(), now);
}

inline void Machine::turn(TimePoint now)
{
    for (const Mail& each : mail_) {
        wire::ParsedPacket parsed;
        if (!wire::parse_frame(each.frame, parsed)) {
            manager_->input({static_cast<std::uint8_t>(each.link), parsed.hop_limit, parsed.source, parsed.destination,
                             Bytes{each.frame}.subspan(parsed.transport_offset, parsed.transport_size())},
                            now);
        }
    }
    mail_.clear();
    manager_->mail_read(now);
    manager_->advance(now);
}

inline void Machine::deliver(std::size_t link, std::vector<std::byte> frame)
{
    if (manager_ != nullptr) {
        mail_.push_back({link, std::move(frame)});
    }
}

inline void Machine::send(std::uint8_t port, Bytes frame) noexcept { cluster_.send(number_, port, frame); }

inline void Machine::set_address(std::uint8_t, const wire::IpAddress&, const wire::MacAddress&,
                                 Ownership ownership) noexcept
{
    held_ = ownership == Ownership::active ? static_cast<int>(cluster_.links()) : 0;
}

} // namespace sluice::vrrp::simulation
