#include "node.hpp"

#include <future>

namespace sluice::app {
namespace {

std::vector<port::Port*> pointers(const std::vector<std::unique_ptr<port::Port>>& ports)
{
    std::vector<port::Port*> result;
    for (const auto& port : ports) {
        result.push_back(port.get());
    }
    return result;
}

} // namespace

Node::Node(const Clock& clock, Layout layout, std::vector<std::unique_ptr<port::Port>> ports,
           std::vector<CorePools> pools, const NodeOptions& options)
    : ports_{std::move(ports)}, pools_{std::move(pools)},
      shared_{clock, std::move(layout), pointers(ports_), options.ring_capacity, options.neighbours, options.core.flows}
{
    for (std::size_t index = 0; index < shared_.layout.cores.size(); ++index) {
        events_.push_back(std::make_unique<telemetry::EventRing>(options.events));
        access_records_.push_back(std::make_unique<telemetry::RecordRing>(options.access_record_bytes));
        cores_.push_back(std::make_unique<Core>(index, shared_, *pools_[index].data, *pools_[index].reserve,
                                                options.core, *events_[index], *access_records_[index],
                                                control_wakeup_));
    }
}

Node::~Node() { stop(); }

void Node::start(std::function<void(const CoreRole&, const std::function<void()>&)> around)
{
    for (const auto& core : cores_) {
        threads_.emplace_back([this, around, running = core.get()] {
            around(shared_.layout.cores[running->index()], [this, running] { running->run(stop_); });
        });
    }
}

void Node::stop()
{
    stop_ = true;
    for (std::size_t core = 0; core < cores_.size(); ++core) {
        shared_.mesh.wakeup(core).wake();
    }
    for (std::thread& thread : threads_) {
        thread.join();
    }
    threads_.clear();
}

bool Node::publish(std::unique_ptr<const control::Snapshot> snapshot, Duration patience)
{
    const auto deadline = std::chrono::steady_clock::now() + patience;
    // The generation before must be out of use, or there would be three alive.
    if (!settle(patience)) {
        return false;
    }
    accept_virtual_macs(*snapshot);
    shared_.publication.publish(std::move(snapshot));
    return settle(deadline - std::chrono::steady_clock::now());
}

bool Node::settle(Duration patience)
{
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while (!shared_.publication.retire(cores_.size())) {
        if (std::chrono::steady_clock::now() > deadline) {
            return false;
        }
        for (std::size_t core = 0; core < cores_.size(); ++core) {
            shared_.mesh.wakeup(core).wake();
        }
        std::this_thread::sleep_for(std::chrono::microseconds{100});
    }
    return true;
}

void Node::accept_virtual_macs(const control::Snapshot& next) noexcept
{
    const control::Snapshot* before = current();
    if (before != nullptr && before->neighbours == next.neighbours) {
        return;
    }
    for (const neigh::LocalAddress& entry : next.neighbours->addresses.entries()) {
        if (entry.is_virtual) {
            ports_[entry.port]->accept_mac(entry.mac);
        }
    }
}

bool Node::call(std::size_t core, std::function<void(Core&)> command, Duration patience)
{
    auto done = std::make_shared<std::promise<void>>();
    std::future<void> finished = done->get_future();
    const bool posted = post(core, [command = std::move(command), done](Core& on) {
        command(on);
        done->set_value();
    });
    return posted && finished.wait_for(patience) == std::future_status::ready;
}

bool Node::post(std::size_t core, std::function<void(Core&)> command)
{
    return cores_[core]->post(std::make_unique<Core::Command>(std::move(command)));
}

void Node::take_events(const std::function<void(const telemetry::Event&)>& take)
{
    for (const auto& ring : events_) {
        while (const auto event = ring->pop()) {
            take(*event);
        }
    }
}

bool Node::turn_all() noexcept
{
    bool worked = false;
    for (const auto& core : cores_) {
        worked |= core->turn();
    }
    return worked;
}

TimePoint Node::next_deadline() const noexcept
{
    TimePoint deadline = never;
    for (const auto& core : cores_) {
        deadline = std::min(deadline, core->next_deadline());
    }
    return deadline;
}

void Node::publish_now(std::unique_ptr<const control::Snapshot> snapshot)
{
    static_cast<void>(shared_.publication.retire(cores_.size()));
    accept_virtual_macs(*snapshot);
    shared_.publication.publish(std::move(snapshot));
}

} // namespace sluice::app
