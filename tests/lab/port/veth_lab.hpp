// A pair of network namespaces joined by a veth, and processes inside them. EAL starts once per process, so every test
// that opens a DPDK device does it in a child.
#pragma once

#include <sluice/base/bytes.hpp>

#include <functional>
#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

namespace sluice::lab {

/// Why the lab cannot run here; empty when it can.
[[nodiscard]] std::string missing_privilege();

/// Runs a program to its end. True when it exits with 0.
bool run(const std::vector<std::string>& command);

class VethLab {
public:
    VethLab();
    ~VethLab(); ///< Removes the namespaces, and the veth with them
    VethLab(const VethLab&) = delete;
    VethLab& operator=(const VethLab&) = delete;

    [[nodiscard]] bool ready() const { return ready_; }
    [[nodiscard]] const std::string& port_namespace() const { return port_namespace_; }
    [[nodiscard]] const std::string& peer_namespace() const { return peer_namespace_; }
    static constexpr const char* port_interface = "port0";
    static constexpr const char* peer_interface = "peer0";
    /// For files of the port's process; removed in the end.
    [[nodiscard]] const std::string& directory() const { return directory_; }

    /// `ip -n NAMESPACE arguments...`
    [[nodiscard]] static bool ip(const std::string& name_space, std::vector<std::string> arguments);
    /// Calls `body` on a thread inside the namespace.
    static void inside(const std::string& name_space, const std::function<void()>& body);

private:
    std::string port_namespace_;
    std::string peer_namespace_;
    std::string directory_;
    bool ready_ = false;
};

/// A child process inside a namespace (an empty name: where we are), with a channel of single letters both ways.
class Child {
public:
    /// The talking end of the channel, for the child.
    class Channel {
    public:
        explicit Channel(int descriptor) : descriptor_{descriptor} {}
        void say(char word) const;
        /// 0 at the end, or after ten seconds.
        [[nodiscard]] char hear() const;

    private:
        int descriptor_;
    };

    Child(const std::string& name_space, const std::function<void(const Channel&)>& body);
    ~Child(); ///< Ends the child if it still runs
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;

    [[nodiscard]] Channel channel() const { return Channel{descriptor_}; }
    [[nodiscard]] pid_t process() const { return process_; }
    void kill();
    /// Waits for the end. True when `body` returned and none of its expectations failed.
    [[nodiscard]] bool succeeded();

private:
    pid_t process_ = -1;
    int descriptor_ = -1;
};

/// The calling process becomes user `nobody` with exactly these capabilities (numbers of capability.h), as systemd's
/// User= and AmbientCapabilities= would make it. `directory` becomes its own, and its runtime directory.
[[nodiscard]] bool become_service(const std::vector<unsigned>& capabilities, const std::string& directory);

/// A raw packet socket on an interface: the other end of the wire, judged by the kernel.
class RawPeer {
public:
    RawPeer(const std::string& name_space, const std::string& interface);
    ~RawPeer();
    RawPeer(const RawPeer&) = delete;
    RawPeer& operator=(const RawPeer&) = delete;

    [[nodiscard]] bool send(Bytes frame) const;
    /// The next frame that came in with this EtherType; nothing after two seconds.
    [[nodiscard]] std::optional<std::vector<std::byte>> receive(std::uint16_t ether_type) const;

private:
    int socket_ = -1;
};

} // namespace sluice::lab
