// Whose XDP program sits on an interface. AF_XDP ports attach one, and a killed process leaves it behind: it must be
// told from another program's.
//
// The rule: a running port holds a lock on the file xdp-ID in the runtime directory, ID being its program's number,
// which the kernel does not use twice. A file without a lock: its process is gone. No file: the program is somebody
// else's.
#pragma once

#include <sluice/base/result.hpp>

#include <cstdint>
#include <optional>
#include <string>

namespace sluice::port {

struct XdpProgram {
    std::uint32_t id = 0;
    std::string name{}; ///< As its author called it; empty when the kernel does not tell us
};

/// The program on an interface, if any. Control thread.
[[nodiscard]] std::optional<XdpProgram> attached_xdp_program(const std::string& interface);

enum class XdpRecordState : std::uint8_t { absent, left_behind, held };

struct XdpRecordFacts {
    XdpRecordState state = XdpRecordState::absent;
    std::int64_t holder = 0; ///< Process that wrote the record
};

[[nodiscard]] XdpRecordFacts inspect_xdp_record(const std::string& runtime_directory, std::uint32_t program);

/// Takes the program off the interface. False with errno.
[[nodiscard]] bool detach_xdp_program(const std::string& interface);

/// The lock that says "this program is mine and I live". Move-only; the destructor removes the record.
class XdpRecord {
public:
    /// Makes the directory if need be.
    [[nodiscard]] static Expected<XdpRecord, MachineError> hold(const std::string& runtime_directory,
                                                                std::uint32_t program);
    XdpRecord() = default;
    ~XdpRecord();
    XdpRecord(XdpRecord&& other) noexcept;
    XdpRecord& operator=(XdpRecord&& other) noexcept;

private:
    XdpRecord(std::string path, int descriptor) : path_{std::move(path)}, descriptor_{descriptor} {}
    void drop() noexcept;

    std::string path_;
    int descriptor_ = -1;
};

/// Removes the record of a process that is gone.
void forget_xdp_record(const std::string& runtime_directory, std::uint32_t program);

} // namespace sluice::port
