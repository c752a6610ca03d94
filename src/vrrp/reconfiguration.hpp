// A reload: carries what runs over into the next generation and applies the difference.
#pragma once

#include <sluice/vrrp/manager.hpp>

namespace sluice::vrrp {

/// Instances are the same when port, VRID and family are. Those keep their state and timers; addresses that left are
/// given up, new ones taken. A group whose members come from groups in different states continues as backup.
class Reconfiguration {
public:
    Reconfiguration(std::deque<Group>& previous, std::deque<Group>& next, TimePoint now, Output& output) noexcept
        : previous_{previous}, next_{next}, now_{now}, output_{output}
    {
    }
    void run() noexcept;

private:
    struct Match {
        Group* group = nullptr;
        Member* member = nullptr;
    };
    [[nodiscard]] static Match find(std::deque<Group>& groups, const Parameters& parameters) noexcept;
    void withdraw(Group& group, Member& member) noexcept;
    void leave_addresses(const Member& member, const Member& successor) noexcept;
    void merge(Group& group) noexcept;
    void carry(Group& group, Member& member, const Match& old) noexcept;
    void join(Group& group, Member& member) noexcept;
    void report(const Member& member, State from, State to) noexcept;

    std::deque<Group>& previous_;
    std::deque<Group>& next_;
    TimePoint now_;
    Output& output_;
};

} // namespace sluice::vrrp
