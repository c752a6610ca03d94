// A whole node over one in-memory port, with the World at the other end; turn by turn in virtual time.
#pragma once

#include "support/world.hpp"

#include "app/node.hpp"

#include <sluice/config/files.hpp>
#include <sluice/config/load.hpp>
#include <sluice/control/compile.hpp>
#include <sluice/port/memory_port.hpp>

#include <gtest/gtest.h>

namespace sluice::test {

struct NodeLabOptions {
    std::size_t forwarders = 1;
    std::size_t workers = 1;
    bool shared_cores = false; ///< Workers run on the forwarders' cores as far as there are enough
    port::QueueChoice queues = port::QueueChoice::random;
    std::uint64_t seed = 1;
    bool threads = false;      ///< Real threads and real time instead of turns in virtual time
    std::uint16_t mtu = 1500;  ///< Of the interface
    bool swap_workers = false; ///< Breaks dispatch on purpose: shards lead to the other worker
};

class NodeLab {
public:
    NodeLab(const NodeLabOptions& options, const std::string& config, std::set<wire::IpAddress> world_addresses)
        : options_{options}, link_{port_options("front", 1, options, true), port_options("world", 2, options, false)},
          world{time(), link_.second(), std::move(world_addresses)}
    {
        std::vector<std::unique_ptr<port::Port>> ports;
        ports.push_back(std::make_unique<Borrowed>(link_.first(), accepted_macs));
        app::Layout layout = make_layout();
        std::vector<app::CorePools> pools;
        for (std::size_t core = 0; core < layout.cores.size(); ++core) {
            pools.push_back({std::make_unique<packet::HeapPool>(8192), std::make_unique<packet::HeapPool>(512)});
        }
        app::NodeOptions node_options;
        node_options.core.flows = 4096;
        node_options.core.worker = {1024, 64U << 20U, 1024, 256};
        registry.workers = options.workers;
        node = std::make_unique<app::Node>(time(), std::move(layout), std::move(ports), std::move(pools), node_options);
        registry.address_states = &node->shared().address_states;
        registry.server_registry = &node->shared().servers;
        registry.process_ticket_keys = tls::TicketKeys::random();
        if (options.threads) {
            node->start([](const app::CoreRole&, const std::function<void()>& run) { run(); });
        }
        publish(config);
    }

    ~NodeLab()
    {
        if (node) {
            node->stop();
        }
        // Frames on the wire belong to pools that end before the wire does.
        packet::Burst burst;
        for (port::MemoryPort* port : {&link_.first(), &link_.second()}) {
            for (std::uint16_t queue = 0; queue < port->capabilities().receive_queues; ++queue) {
                while (port->receive(queue, burst) != 0) {
                    burst.clear();
                }
            }
        }
    }
    NodeLab(const NodeLab&) = delete;
    NodeLab& operator=(const NodeLab&) = delete;

    /// Reads, compiles and publishes a file; throws what is wrong with it.
    void publish(const std::string& text)
    {
        config::MemoryFiles files;
        files.add("node.yaml", text);
        config::Options load_options;
        load_options.files = &files;
        config::Loaded loaded = config::load("node.yaml", load_options);
        std::string problems;
        for (const Diagnostic& diagnostic : loaded.diagnostics) {
            problems += format(diagnostic);
        }
        if (!loaded.model) {
            throw std::runtime_error{problems};
        }
        auto snapshot =
            control::compile(*loaded.model, {{link_.first().mac(), options_.mtu}}, registry, node->current());
        if (!snapshot) {
            throw std::runtime_error{format(snapshot.error().front())};
        }
        control::adopt(registry, *loaded.model);
        if (options_.threads) {
            if (!node->publish(std::move(*snapshot), std::chrono::seconds{20})) {
                throw std::runtime_error{"a core did not take up the snapshot"};
            }
        } else {
            node->publish_now(std::move(*snapshot));
        }
        model = std::move(*loaded.model);
    }

    /// Makes VRRP take part: what the supervisor does when all is ready.
    void make_ready()
    {
        node->post(node->first_forwarder_core(),
                   [](app::Core& core) { core.first_forwarder()->vrrp().set_ready(true, core.context().now); });
    }

    /// With threads: the world acts until `done`, in real time; false when `limit` has passed before.
    template <class Done>
    bool act_until(Done done, Duration limit)
    {
        const TimePoint end = time().now() + limit;
        while (!done()) {
            if (time().now() > end) {
                return false;
            }
            if (!world.turn()) {
                std::this_thread::yield();
            }
        }
        return true;
    }

    /// Turns of everybody until nothing is left to do now.
    void settle()
    {
        for (int round = 0; round < 100000; ++round) {
            const bool node_worked = node->turn_all();
            const bool world_worked = world.turn();
            if (!node_worked && !world_worked && link_.first().pending() == 0 && link_.second().pending() == 0) {
                return;
            }
        }
        throw std::runtime_error{"never comes to rest: received " +
                                 std::to_string(total(telemetry::Counter::packets_received)) + ", dropped " + drops()};
    }

    /// Lets virtual time pass in steps of `step` until `done`; false when `limit` has passed before.
    template <class Done>
    bool run_until(Done done, Duration limit, Duration step = std::chrono::milliseconds{1})
    {
        for (Duration passed{}; passed < limit; passed += step) {
            settle();
            if (done()) {
                return true;
            }
            clock.advance(step);
        }
        return done();
    }

    [[nodiscard]] std::uint64_t total(telemetry::Counter counter) const
    {
        std::uint64_t sum = 0;
        for (const auto& core : node->cores()) {
            sum += core->counters().get(counter);
        }
        return sum;
    }
    [[nodiscard]] std::uint64_t total(telemetry::DropReason reason) const
    {
        std::uint64_t sum = 0;
        for (const auto& core : node->cores()) {
            sum += core->counters().get(reason);
        }
        return sum;
    }
    /// Every drop reason with its count, for messages.
    [[nodiscard]] std::string drops() const
    {
        std::string text;
        for (std::size_t reason = 0; reason < telemetry::drop_reason_count; ++reason) {
            const auto one = static_cast<telemetry::DropReason>(reason);
            if (const std::uint64_t count = total(one)) {
                text += std::string{telemetry::text(one).name} + '=' + std::to_string(count) + ' ';
            }
        }
        return text;
    }

private:
    /// The node owns its ports; the link owns these: a port that passes everything on.
    class Borrowed final : public port::Port {
    public:
        Borrowed(port::Port& port, std::set<wire::MacAddress>& accepted) : port_{port}, accepted_{accepted} {}
        [[nodiscard]] std::string_view name() const noexcept override { return port_.name(); }
        [[nodiscard]] wire::MacAddress mac() const noexcept override { return port_.mac(); }
        [[nodiscard]] std::uint16_t mtu() const noexcept override { return port_.mtu(); }
        [[nodiscard]] const port::Capabilities& capabilities() const noexcept override { return port_.capabilities(); }
        std::size_t receive(std::uint16_t queue, packet::Burst& out) noexcept override
        {
            return port_.receive(queue, out);
        }
        std::size_t transmit(std::uint16_t queue, packet::Burst& frames) noexcept override
        {
            return port_.transmit(queue, frames);
        }
        [[nodiscard]] int descriptor(std::uint16_t queue) const noexcept override { return port_.descriptor(queue); }
        [[nodiscard]] bool link_up() const noexcept override { return port_.link_up(); }
        void refresh() noexcept override { port_.refresh(); }
        [[nodiscard]] port::Statistics statistics() const noexcept override { return port_.statistics(); }
        void accept_mac(const wire::MacAddress& mac) noexcept override { accepted_.insert(mac); }

    private:
        port::Port& port_;
        std::set<wire::MacAddress>& accepted_;
    };

    static port::MemoryPortOptions port_options(const char* name, unsigned last, const NodeLabOptions& options,
                                                bool node_side)
    {
        port::MemoryPortOptions result;
        result.name = name;
        result.mac = wire::MacAddress::from(2, 0, 0, 0, 0, last);
        result.queues = static_cast<std::uint16_t>(node_side ? options.forwarders : 1);
        result.queue_size = 4096;
        result.choice = node_side ? options.queues : port::QueueChoice::same;
        result.seed = options.seed;
        result.descriptors = options.threads && node_side;
        return result;
    }

    [[nodiscard]] app::Layout make_layout() const
    {
        std::vector<unsigned> forwarders;
        std::vector<unsigned> workers;
        for (unsigned index = 0; index < options_.forwarders; ++index) {
            forwarders.push_back(index);
        }
        for (unsigned index = 0; index < options_.workers; ++index) {
            workers.push_back(options_.shared_cores ? index : 100 + index);
        }
        app::Layout layout = app::make_layout(forwarders, workers);
        if (options_.swap_workers) {
            std::swap(layout.worker_core.front(), layout.worker_core.back());
        }
        return layout;
    }

    NodeLabOptions options_;

    [[nodiscard]] const Clock& time() const noexcept
    {
        return options_.threads ? static_cast<const Clock&>(real_) : clock;
    }

    SystemClock real_;

public:
    FakeClock clock;
    control::Registry registry;
    config::Model model;
    std::set<wire::MacAddress> accepted_macs; ///< What the node's port was told to let in

private:
    port::MemoryLink link_;

public:
    World world;
    std::unique_ptr<app::Node> node;
};

} // namespace sluice::test
