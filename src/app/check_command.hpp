// `sluice check`: judges a file. No root, no hugepages, no NIC.
#pragma once

#include "supervisor.hpp"

#include <string>

namespace sluice::app {

struct CheckOptions {
    std::string file;
    bool host = false;   ///< What the machine lacks is an error
    bool strict = false; ///< Warnings are errors
    bool print = false;  ///< Write the file with every default filled in
    bool json = false;
};

[[nodiscard]] ExitCode check(const CheckOptions& options);

} // namespace sluice::app
