// The verb `capture`: pcapng in pieces, as text in lines of JSON, until enough was seen or the caller has.
#include <sluice/base/base64.hpp>
#include <sluice/control/verbs.hpp>

#include "views.hpp"

#include <fmt/format.h>

#include <limits>
#include <optional>
#include <stdexcept>

namespace sluice::control {
namespace {

constexpr Duration look_interval = std::chrono::milliseconds{10};
/// Also a capture without packets says that it goes on.
constexpr Duration line_interval = std::chrono::seconds{1};
constexpr std::size_t line_bytes = 48 * 1024;
/// Of one look: others wait for the control thread too.
constexpr unsigned lines_at_once = 16;
constexpr std::uint64_t smallest_snap = 64;

class CaptureWalk : public std::enable_shared_from_this<CaptureWalk> {
public:
    struct Limits {
        std::uint64_t packets = std::numeric_limits<std::uint64_t>::max();
        TimePoint end = never;
    };

    CaptureWalk(Operations& operations, std::shared_ptr<Reply> reply, std::unique_ptr<CaptureSource> source,
                const Limits& limits)
        : operations_{operations}, reply_{std::move(reply)}, source_{std::move(source)}, limits_{limits}
    {
    }

    void start()
    {
        // The next look keeps the walk alive, not the reply, which the walk itself holds.
        reply_->when_left([walk = weak_from_this()] {
            if (const auto self = walk.lock()) {
                self->source_.reset();
            }
        });
        reply_->when_finished([walk = weak_from_this()] {
            if (const auto self = walk.lock()) {
                self->finished_ = true;
            }
        });
        send_line();
        look();
    }

private:
    void look()
    {
        if (source_ == nullptr) {
            return;
        }
        for (unsigned lines = 0; lines < lines_at_once && !reply_->congested() && send_line(); ++lines) {
        }
        if (source_ == nullptr) {
            return;
        }
        // A slow reader costs packets, which are counted, never memory.
        const TimePoint now = operations_.now();
        if (finished_ || packets_ >= limits_.packets || now >= limits_.end) {
            finish();
            return;
        }
        if (now - said_at_ >= line_interval && !reply_->congested()) {
            say({});
        }
        operations_.call_later(look_interval, [self = shared_from_this()] { self->look(); });
    }

    /// False when nothing waits.
    bool send_line()
    {
        piece_.clear();
        packets_ += source_->read(piece_, line_bytes, limits_.packets - packets_);
        if (!piece_.empty()) {
            say(piece_);
        }
        return !piece_.empty();
    }

    void say(Bytes piece)
    {
        said_at_ = operations_.now();
        boost::json::object line = envelope(operations_, std::chrono::system_clock::now());
        line["pcapng"] = base64_encode(piece);
        add_totals(line);
        reply_->line(line);
    }

    void finish()
    {
        source_->stop();
        while (source_ != nullptr && send_line()) { // At most what the rings hold
        }
        if (source_ == nullptr) {
            return;
        }
        boost::json::object last = answer(operations_);
        add_totals(last);
        source_.reset();
        reply_->line(last);
        reply_->end();
    }

    void add_totals(boost::json::object& line) const
    {
        line["packets_total"] = packets_;
        line["discarded_total"] = source_->discarded();
        line["drops_without_packet_total"] = source_->unseen_drops();
    }

    Operations& operations_;
    std::shared_ptr<Reply> reply_;
    std::unique_ptr<CaptureSource> source_; ///< Null once the caller has left or all is sent
    Limits limits_;
    std::uint64_t packets_ = 0;
    TimePoint said_at_{};
    bool finished_ = false;
    std::vector<std::byte> piece_;
};

} // namespace

void Verbs::capture(const Request& request, const std::shared_ptr<Reply>& reply)
{
    CaptureRequest wanted;
    wanted.filter = request.numbers("filter");
    wanted.dropped = request.flag("dropped");
    const std::uint64_t snap = request.number("snap_bytes").value_or(wanted.snap);
    if (snap < smallest_snap || snap > std::numeric_limits<std::uint16_t>::max()) {
        throw std::invalid_argument{fmt::format("`snap_bytes` is {} to 65535", smallest_snap)};
    }
    wanted.snap = static_cast<std::uint16_t>(snap);
    CaptureWalk::Limits limits;
    if (const auto count = request.number("count")) {
        limits.packets = *count;
    }
    if (const auto time = request.duration("for")) {
        limits.end = operations_.now() + *time;
    }
    auto source = operations_.capture(wanted);
    if (!source) {
        reply->answer(refusal(Exit::refused, source.error()));
        return;
    }
    std::make_shared<CaptureWalk>(operations_, reply, std::move(*source), limits)->start();
}

} // namespace sluice::control
