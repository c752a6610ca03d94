// Judges a configuration file: reads it and what it includes, checks everything, and hands out a model when nothing is
// wrong. `sluice check`, `sluice run` and every reload go through this one call. Ordinary threads only; it reads files
// and, with HostFacts, asks the kernel.
#pragma once

#include <sluice/config/model.hpp>

#include <chrono>
#include <string>
#include <vector>

namespace sluice::config {

class Files;
class HostFacts;

struct Options {
    /// Where texts, certificates and keys come from; null: the disk.
    const Files* files = nullptr;
    /// What only this machine can tell (cores, interfaces, memory, groups, unreadable files); null: not judged.
    const HostFacts* host = nullptr;
    /// What the machine lacks is an error (exit code 3 of `check --host`, of a start, of a reload), else a warning.
    bool host_errors = false;
    /// Warnings count as errors.
    bool strict = false;
    /// The wall clock, for the dates of certificates; unset: not judged.
    std::optional<std::chrono::system_clock::time_point> now;
};

struct Loaded {
    std::optional<Model> model;     ///< Set exactly when `diagnostics` has no error.
    Diagnostics diagnostics;        ///< Errors and warnings, each followed by its notes, in the order of the files.
    std::vector<std::string> files; ///< The file and everything that it included, in reading order.
};

[[nodiscard]] Loaded load(const std::string& path, const Options& options);

/// The file that means the same with every default filled in and nothing included. Loading it gives an equal model.
[[nodiscard]] std::string print(const Model& model);

/// The reference of every key as Markdown: the generated part of docs/configuration.md.
[[nodiscard]] std::string reference();

} // namespace sluice::config
