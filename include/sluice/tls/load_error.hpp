// Why certificates, keys or ticket keys could not be loaded. Control idiom; never on the data plane.
#pragma once

#include <cstdint>
#include <string>

namespace sluice::tls {

struct LoadError {
    enum class Kind : std::uint8_t {
        unreadable, ///< The file is missing or may not be read: something only this machine can tell.
        exposed,    ///< A secret that other users may read.
        malformed,  ///< Not the PEM or the length it should be.
        mismatch,   ///< Certificate and key do not belong together.
        too_weak,   ///< A key or signature below what TLS clients accept.
        invalid,    ///< The options contradict themselves.
    };
    Kind kind = Kind::invalid;
    std::string file = {};    ///< The file to look at; empty when it concerns none.
    std::string message = {}; ///< What is wrong, naming the file.
    std::string remedy = {};  ///< A command or change that mends it; may be empty.
};

} // namespace sluice::tls
