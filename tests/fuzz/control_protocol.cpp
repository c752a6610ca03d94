// Any line that a client may send: reading it and its arguments ends in a value or in a sentence, never otherwise.
#include <sluice/control/protocol.hpp>

#include <cstddef>
#include <cstdint>
#include <stdexcept>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    using sluice::control::Request;
    const auto request = Request::parse({reinterpret_cast<const char*>(data), size});
    if (!request) {
        if (request.error().empty()) {
            __builtin_trap();
        }
        return 0;
    }
    const auto attempt = [](auto read) {
        try {
            read();
        } catch (const std::invalid_argument&) { // What the node answers with exit code 64.
        }
    };
    for (const char* key : {"target", "for", "reason", "timeout", "undo", "follow", "level"}) {
        attempt([&] { static_cast<void>(request->text(key)); });
        attempt([&] { static_cast<void>(request->flag(key)); });
        attempt([&] {
            const auto duration = request->duration(key);
            if (duration && *duration < sluice::Duration::zero()) {
                __builtin_trap();
            }
        });
    }
    return 0;
}
