// Semantic checks: what every single value cannot know. Each function judges one part of the model; they all run, so
// everything that is wrong is reported at once. Checks that conclude something from what is absent are skipped when the
// part they look at could not be read whole.
#pragma once

#include <config/quote.hpp>
#include <config/source.hpp>
#include <sluice/config/files.hpp>
#include <sluice/config/host.hpp>
#include <sluice/config/load.hpp>

#include <set>

namespace sluice::config {

struct Validation {
    const Model& model;
    Report& report;
    const Files& files;
    const Options& options;
    const std::set<std::string_view>& unclean; ///< Top-level keys in which something could not be read.

    /// Whether these top-level keys were read whole.
    template <class... Keys>
    [[nodiscard]] bool clean(Keys... keys) const
    {
        return ((unclean.find(keys) == unclean.end()) && ...);
    }
    /// A finding about the machine: a warning, unless the caller is about to use this machine.
    void host_finding(const Where& where, std::string message, std::string remedy) const
    {
        report.add(options.host_errors ? Severity::error : Severity::warning, where, std::move(message),
                   std::move(remedy));
    }
};

void validate_node(const Validation& check);
void validate_ports(const Validation& check);
void validate_vrrp(const Validation& check);
void validate_services(const Validation& check);
void validate_routes(const Validation& check);
void validate_forwarding(const Validation& check);
void validate_pools(const Validation& check);
void validate_secrets(const Validation& check);
void validate_host(const Validation& check);

/// Reports the second of two things that stand for the same.
inline void report_twice(const Validation& check, const Where& second, const Where& first, const std::string& message)
{
    check.report.error(second, message);
    check.report.note(first, "it stands here first");
}

} // namespace sluice::config
