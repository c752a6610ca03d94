#include <ctl/capture.hpp>

#include <sluice/base/base64.hpp>

#include <boost/json/array.hpp>
#include <fmt/format.h>
#include <pcap/pcap.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <memory>
#include <sys/signalfd.h>
#include <unistd.h>

namespace sluice::ctl {
namespace {

namespace json = boost::json;

/// The node says something every second.
constexpr std::chrono::seconds patience{10};
/// What the node takes; see docs/sluicectl.md.
constexpr std::size_t longest_program = 512;
constexpr int longest_frame = 65535;

/// SIGINT and SIGTERM as a descriptor, for this process from here on.
int catch_signals()
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigprocmask(SIG_BLOCK, &signals, nullptr);
    signal(SIGPIPE, SIG_IGN); // A reader of standard output that has gone is an error of write().
    return signalfd(-1, &signals, SFD_CLOEXEC);
}

struct Closer {
    void operator()(std::FILE* file) const noexcept
    {
        if (file != stdout) {
            std::fclose(file);
        }
    }
};
using File = std::unique_ptr<std::FILE, Closer>;

std::uint64_t count_of(const json::object& line, std::string_view key)
{
    json::error_code error;
    const json::value* value = line.if_contains(key);
    const auto found = value != nullptr ? value->to_number<std::uint64_t>(error) : 0;
    return error ? 0 : found;
}

std::string text_of(const json::object& line, std::string_view key)
{
    const json::value* value = line.if_contains(key);
    return value != nullptr && value->is_string() ? std::string{std::string_view{value->as_string()}} : std::string{};
}

struct Totals {
    std::uint64_t packets = 0;
    std::uint64_t discarded = 0;
    std::uint64_t unseen = 0;
};

void say(const Totals& totals, bool dropped)
{
    std::fflush(stdout);
    fmt::print(stderr, "{} packets captured\n{} packets not captured for lack of room\n", totals.packets,
               totals.discarded);
    if (dropped) {
        fmt::print(stderr, "{} drops without a packet to show\n", totals.unseen);
    }
}

json::object request_of(const CaptureOptions& options, json::array program)
{
    json::object request{{"verb", "capture"},
                         {"filter", std::move(program)},
                         {"dropped", options.dropped},
                         {"snap_bytes", options.snap}};
    if (options.count) {
        request["count"] = *options.count;
    }
    if (options.seconds) {
        request["for_seconds"] = *options.seconds;
    }
    return request;
}

} // namespace

Expected<json::array, std::string> compile_filter(const std::string& expression)
{
    json::array words;
    if (expression.empty()) {
        return words;
    }
    const std::unique_ptr<pcap_t, decltype(&pcap_close)> ethernet{pcap_open_dead(DLT_EN10MB, longest_frame),
                                                                  &pcap_close};
    bpf_program program{};
    if (pcap_compile(ethernet.get(), &program, expression.c_str(), 1, PCAP_NETMASK_UNKNOWN) != 0) {
        return failure(fmt::format("--filter: {}", pcap_geterr(ethernet.get())));
    }
    for (unsigned index = 0; index < program.bf_len; ++index) {
        const bpf_insn& one = program.bf_insns[index];
        words.insert(words.end(),
                     {json::value(one.code), json::value(one.jt), json::value(one.jf), json::value(one.k)});
    }
    pcap_freecode(&program);
    if (words.size() / 4 > longest_program) {
        return failure(
            fmt::format("--filter: {} instructions, and the node takes {}", words.size() / 4, longest_program));
    }
    return words;
}

Exit capture(const std::string& socket, const CaptureOptions& options)
{
    auto program = compile_filter(options.expression);
    if (!program) {
        fmt::print(stderr, "sluicectl: {}\n    hint: `man pcap-filter` has the language\n", program.error());
        return Exit::usage;
    }
    const File file{options.file == "-" ? stdout : std::fopen(options.file.c_str(), "wbe")};
    const auto failed = [&] {
        fmt::print(stderr, "sluicectl: cannot write {}: {}\n", options.file, std::strerror(errno));
        return Exit::refused;
    };
    if (!file) {
        return failed();
    }
    Exit exit = Exit::success;
    Totals totals;
    bool begun = false;
    const auto receive = [&](const json::object& line, const std::string&) {
        if (line.contains("error")) {
            exit = static_cast<Exit>(count_of(line, "exit_code"));
            fmt::print(stderr, "sluicectl: {}\n", text_of(line, "error"));
            return false;
        }
        begun = true;
        totals = {count_of(line, "packets_total"), count_of(line, "discarded_total"),
                  count_of(line, "drops_without_packet_total")};
        const auto piece = base64_decode(text_of(line, "pcapng"));
        if (!piece || std::fwrite(piece->data(), 1, piece->size(), file.get()) != piece->size() ||
            std::fflush(file.get()) != 0) {
            exit = failed();
            return false;
        }
        return true;
    };
    const auto done =
        converse({socket, patience, catch_signals()}, request_of(options, std::move(*program)), true, receive);
    if (begun) {
        say(totals, options.dropped);
    }
    if (!done) {
        fmt::print(stderr, "sluicectl: {}\n", done.error());
        return Exit::no_answer;
    }
    return exit;
}

} // namespace sluice::ctl
