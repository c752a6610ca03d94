// Reading certificate and key files. Private to this module; control thread only.
#pragma once

#include <sluice/base/result.hpp>
#include <sluice/tls/load_error.hpp>

#include <string>

namespace sluice::tls {

enum class Secrecy : bool { open, secret };

/// A regular file of at most 1 MiB. A secret one must not be readable or writable by users other than owner and group.
[[nodiscard]] Expected<std::string, LoadError> read_file(const std::string& path, Secrecy secrecy);

} // namespace sluice::tls
