// A model from a text that must be valid.
#pragma once

#include <sluice/config/files.hpp>
#include <sluice/config/load.hpp>

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>
#include <utility>

namespace sluice::control {

inline config::Model model_of(std::string text)
{
    config::MemoryFiles files;
    files.add("/c.yaml", std::move(text));
    config::Options options;
    options.files = &files;
    config::Loaded loaded = config::load("/c.yaml", options);
    if (!loaded.model) {
        throw std::invalid_argument{format(loaded.diagnostics.front())};
    }
    return *loaded.model;
}

/// The text with one part replaced, which must be there.
inline std::string replaced(std::string text, const std::string& from, const std::string& to)
{
    return text.replace(text.find(from), from.size(), to);
}

} // namespace sluice::control
