// One stack against a model of a peer that misbehaves for a while: windows that shrink, acknowledgments that are stale,
// split, repeated or of what was never sent, selective acknowledgments that lie or are taken back, data that overlaps
// or lies outside, resets and SYNs that nobody should believe. Then it calms down, and every byte must arrive both
// ways. SLUICE_SEEDS=N runs more of them, SLUICE_SEED=N exactly one.
#include "wire.hpp"

#include "tcp/segment.hpp"

#include <sluice/wire/checksum.hpp>

#include <boost/asio/error.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <map>

namespace sluice::simulation {
namespace {

using namespace std::chrono_literals;
namespace flag = wire::tcp_flag;
using tcp::Sequence;

constexpr Duration trip = 5ms; ///< One way
constexpr Duration tick = 40ms;

std::byte byte_of(std::uint64_t stream, std::uint64_t offset)
{
    return static_cast<std::byte>((offset * 0x9e3779b97f4a7c15ULL + stream * 0xc2b2ae3d27d4eb4fULL) >> 56U);
}

/// What the application at the stack does: writes all, half-closes, reads all.
class Honest {
public:
    Honest(std::uint64_t seed, std::uint64_t writes, std::uint64_t reads)
        : random_{seed}, writes_{writes}, reads_{reads}
    {
    }

    void start(tcp::Stream stream)
    {
        stream_.emplace(std::move(stream));
        write();
        read();
    }
    [[nodiscard]] bool started() const noexcept { return stream_.has_value(); }
    [[nodiscard]] bool done() const noexcept { return written_ == writes_ && ended_; }
    [[nodiscard]] std::uint64_t received() const noexcept { return received_; }
    void close() { stream_.reset(); }
    std::string complaint;

private:
    void write()
    {
        if (written_ == writes_) {
            stream_->shutdown_send();
            return;
        }
        out_.resize(std::min<std::uint64_t>(1 + random_.below(9000), writes_ - written_));
        for (std::size_t index = 0; index < out_.size(); ++index) {
            out_[index] = byte_of(1, written_ + index);
        }
        stream_->async_write_some(boost::asio::buffer(out_), [this](tcp::ErrorCode error, std::size_t count) {
            if (error) {
                complaint = "write: " + error.message();
                return;
            }
            written_ += count;
            write();
        });
    }
    void read()
    {
        in_.resize(1 + random_.below(9000));
        stream_->async_read_some(boost::asio::buffer(in_), [this](tcp::ErrorCode error, std::size_t count) {
            for (std::size_t index = 0; index < count; ++index) {
                if (in_[index] != byte_of(2, received_ + index)) {
                    complaint = "byte " + std::to_string(received_ + index) + " is wrong";
                }
            }
            received_ += count;
            ended_ = error == boost::asio::error::eof;
            if (error && !ended_) {
                complaint = "read: " + error.message();
            } else if (ended_ && received_ != reads_) {
                complaint = "the data ended after " + std::to_string(received_);
            } else if (!ended_) {
                read();
            }
        });
    }

    Random random_;
    std::optional<tcp::Stream> stream_;
    std::uint64_t writes_;
    std::uint64_t reads_;
    std::uint64_t written_ = 0;
    std::uint64_t received_ = 0;
    bool ended_ = false;
    std::vector<std::byte> out_;
    std::vector<std::byte> in_;
};

class HostilePeer {
public:
    explicit HostilePeer(std::uint64_t seed)
        : random_{seed}, host_{clock_, local_.address, seed, options(), 512}, sends_{random_.below(60'000)},
          receives_{random_.below(60'000)}, application_{random_.next(), receives_, sends_},
          calm_at_{clock_.now() + std::chrono::milliseconds{random_.below(20'000)}}
    {
        iss_ = static_cast<std::uint32_t>(random_.next());
        mss_ = static_cast<std::uint16_t>(random_.chance(200'000) ? 64 + random_.below(400) : 1460);
        scales_ = random_.chance(700'000);
        scale_ = static_cast<std::uint8_t>(random_.below(random_.chance(200'000) ? 15 : 4));
        sack_ = random_.chance(700'000);
        timestamps_ = random_.chance(600'000);
        loss_ = static_cast<std::uint32_t>(random_.below(100'000));
    }

    void run()
    {
        open();
        TimePoint next_tick = clock_.now();
        const TimePoint end = clock_.now() + 1h;
        while (complaint_.empty() && application_.complaint.empty() && clock_.now() < end) {
            started_ = application_.started();
            host_.loop.start_turn();
            deliver();
            host_.turn();
            collect();
            if (clock_.now() >= next_tick) {
                next_tick = clock_.now() + tick;
                act();
            }
            if (application_.done() && fin_received_ && acknowledged_ == sends_ + 2) {
                break;
            }
            TimePoint next = std::min(next_tick, host_.loop.next_deadline());
            if (!wire_.empty()) {
                next = std::min(next, wire_.begin()->first);
            }
            clock_.set(std::max(next, clock_.now()));
        }
        EXPECT_EQ(complaint_, "");
        EXPECT_EQ(application_.complaint, "");
        EXPECT_TRUE(application_.done()) << "received " << application_.received() << " of " << sends_ << ", delivered "
                                         << delivered_ << " of " << receives_ << ", calm " << (calm() ? "yes" : "no");
        // Each segment of ours may be answered once, a timer fires now and then, and loss costs no more than the
        // useful segments three times over.
        const std::uint64_t useful = receives_ / std::min<std::uint64_t>(mss_, 500) + sends_ / 200 + 60;
        EXPECT_LT(answers_, 4 * useful + 2 * arrived_) << "a storm";
        finish();
    }

private:
    [[nodiscard]] tcp::StackOptions options()
    {
        tcp::StackOptions options;
        options.congestion_control =
            random_.chance(500'000) ? tcp::CongestionControl::cubic : tcp::CongestionControl::newreno;
        return options;
    }
    [[nodiscard]] bool calm() const noexcept { return clock_.now() >= calm_at_; }

    void open()
    {
        tcp::ListenOptions listen;
        listen.connection.keepalive_idle = 30s;
        if (random_.chance(300'000)) {
            listen.half_open_limit = 0; // Cookies
        }
        ASSERT_TRUE(
            host_.stack.listen(local_, listen, [this](tcp::Stream stream) { application_.start(std::move(stream)); }));
    }

    // --- the wire

    void deliver()
    {
        while (!wire_.empty() && wire_.begin()->first <= clock_.now()) {
            host_.receive(wire_.begin()->second);
            wire_.erase(wire_.begin());
        }
    }
    void collect()
    {
        for (const auto& bytes : std::exchange(host_.sent, {})) {
            wire::ParsedPacket parsed;
            if (wire::parse_ip(bytes, parsed) || wire::verify_transport(bytes, parsed)) {
                complaint_ = "a malformed packet was sent";
                return;
            }
            ++answers_;
            recorder_.write(clock_.now(), bytes, port::Direction::outbound);
            const tcp::Segment segment = tcp::read_segment(bytes, parsed);
            judge(segment);
            if (!random_.chance(loss_)) {
                receive(segment);
            }
        }
    }

    // --- the judge: offsets count from the initial sequence number, the SYN is 0

    void trace(bool inward, std::uint8_t flags, std::uint32_t sequence, std::size_t size, std::uint32_t acknowledgment,
               std::uint32_t window) const
    {
        if (std::getenv("SLUICE_TRACE") != nullptr) {
            std::printf("%.6f %s flags %02x seq %u+%zu ack %u win %u\n",
                        static_cast<double>(clock_.now().time_since_epoch().count()) / 1e9, inward ? ">" : "<", flags,
                        sequence, size, acknowledgment, window);
        }
    }

    void judge(const tcp::Segment& segment)
    {
        trace(false, segment.flags, segment.sequence.value() - stack_iss_, segment.payload.size(),
              segment.acknowledgment.value() - iss_, segment.window);
        if (segment.has(flag::rst)) {
            if (started_) { // Before, an ACK of nothing is answered with one
                complaint_ = "a reset was sent";
            }
            return;
        }
        if (segment.has(flag::syn)) {
            if (!known_) {
                stack_iss_ = segment.sequence.value();
                stack_scale_ = scales_ && segment.has_window_scale ? segment.window_scale : 0;
                known_ = true;
            }
            return;
        }
        const std::uint32_t begin = segment.sequence.value() - stack_iss_;
        const auto end = static_cast<std::uint32_t>(begin + segment.payload.size());
        for (std::size_t index = 0; index < segment.payload.size(); ++index) {
            if (segment.payload[index] != byte_of(1, begin - 1 + index)) {
                complaint_ = "byte " + std::to_string(begin - 1 + index) + " was sent wrong";
            }
        }
        if (!segment.payload.empty() && end > furthest_edge_ + 1) { // A probe may be one byte beyond
            complaint_ =
                "sent up to " + std::to_string(end) + ", the furthest edge was " + std::to_string(furthest_edge_);
        }
        highest_ = std::max(highest_, end + (segment.has(flag::fin) ? 1U : 0U));
        const std::uint32_t acknowledged = segment.acknowledgment.value() - iss_;
        if (acknowledged > sent_) {
            complaint_ = "acknowledged " + std::to_string(acknowledged) + ", sent was " + std::to_string(sent_);
        }
        if (acknowledged < acknowledged_) {
            complaint_ = "an acknowledgment went back";
        }
        acknowledged_ = std::max(acknowledged_, acknowledged);
        const std::uint32_t edge = acknowledged + (std::uint32_t{segment.window} << stack_scale_);
        if (edge < stack_edge_ && acknowledged < sends_ + 2) {
            complaint_ = "the right edge retreated by " + std::to_string(stack_edge_ - edge);
        }
        stack_edge_ = std::max(stack_edge_, edge);
    }

    // --- receiving

    void receive(const tcp::Segment& segment)
    {
        if (segment.has(flag::syn) && segment.sequence.value() != stack_iss_) {
            return; // In answer to a SYN that it should not have sent
        }
        if (segment.has_timestamps) {
            echo_ = segment.timestamp_value;
        }
        if (segment.has(flag::syn)) {
            established_ = true;
            furthest_edge_ = std::max<std::uint32_t>(furthest_edge_, 1 + first_window);
            acknowledge(1, first_window);
            return;
        }
        if (segment.has(flag::rst) || !established_) {
            return;
        }
        const std::uint32_t begin = segment.sequence.value() - stack_iss_;
        const auto end = static_cast<std::uint32_t>(begin + segment.payload.size());
        // Like a receiver with a window it keeps only what lies inside the edge that it offers now; a probe's byte
        // goes.
        if (end > begin && end <= edge_) {
            ranges_.emplace_back(begin, end);
            merge();
        }
        if (segment.has(flag::fin) && end <= next_) {
            fin_received_ = true;
        }
        if (!segment.payload.empty() || segment.has(flag::fin)) {
            answer();
        }
    }
    void merge()
    {
        std::sort(ranges_.begin(), ranges_.end());
        for (const auto& [begin, end] : ranges_) {
            if (begin <= next_ && end > next_) {
                next_ = end;
            }
        }
        std::erase_if(ranges_, [this](const auto& range) { return range.second <= next_; });
        delivered_ = next_ - 1;
    }

    void answer()
    {
        if (calm()) {
            acknowledge(next_ + (fin_received_ ? 1U : 0U), 60'000);
            return;
        }
        switch (random_.below(12)) {
        case 0:
            return; // Never mind
        case 1:     // Stale
            acknowledge(1 + static_cast<std::uint32_t>(random_.below(next_)), window());
            return;
        case 2: // In the middle of what it has
            acknowledge(std::max(said_, next_ - static_cast<std::uint32_t>(random_.below(100) % next_)), window());
            return;
        case 3: // Of what is not sent by the time that this arrives
            acknowledge(highest_ + (1U << 20U) + static_cast<std::uint32_t>(random_.below(1U << 20U)), window());
            return;
        case 4:
            for (int repeat = 0; repeat < 4; ++repeat) {
                acknowledge(said_, 5000);
            }
            return;
        case 5: // Reneging
            ranges_.clear();
            acknowledge(next_, window());
            return;
        default:
            acknowledge(next_, window());
            return;
        }
    }
    std::uint32_t window()
    {
        switch (random_.below(6)) {
        case 0:
            return 0;
        case 1:
            return static_cast<std::uint32_t>(random_.below(mss_));
        case 2:
            return static_cast<std::uint32_t>(random_.below(5000)); // Often less than was offered
        default:
            return static_cast<std::uint32_t>(random_.below(60'000));
        }
    }

    void acknowledge(std::uint32_t offset, std::uint32_t window)
    {
        Out out;
        out.flags = flag::ack;
        out.sequence = std::min(sent_, std::max(1U, acknowledged_));
        out.acknowledgment = offset;
        out.window = window;
        if (sack_) {
            add_sacks(out);
        }
        if (offset <= next_ + 1) {
            said_ = std::max(said_, std::min(offset, next_));
        }
        transmit(out);
    }

    // --- sending

    struct Out {
        std::uint8_t flags = flag::ack;
        std::uint32_t sequence = 1; ///< Offsets
        std::uint32_t acknowledgment = 1;
        std::uint32_t window = 60'000; ///< Bytes
        std::size_t size = 0;
        std::vector<tcp::SequenceRange> sacks{};
        bool old_timestamp = false;
        bool garbage_options = false;
    };

    void add_sacks(Out& out)
    {
        const bool lies = !calm() && random_.chance(150'000);
        for (std::size_t index = 0; index < 3; ++index) {
            if (lies) {
                const auto begin = static_cast<std::uint32_t>(random_.below(highest_ + 3000ULL));
                const auto end = static_cast<std::uint32_t>(random_.below(highest_ + 3000ULL));
                out.sacks.push_back({Sequence{stack_iss_ + begin}, Sequence{stack_iss_ + end}});
            } else if (index < ranges_.size()) {
                const auto& [begin, end] = ranges_[ranges_.size() - 1 - index];
                out.sacks.push_back({Sequence{stack_iss_ + begin}, Sequence{stack_iss_ + end}});
            }
        }
    }

    void act()
    {
        if (!established_) {
            Out syn;
            syn.flags = flag::syn;
            syn.sequence = 0;
            syn.acknowledgment = 0;
            syn.window = first_window;
            sent_ = std::max(sent_, 1U);
            transmit(syn);
            return;
        }
        if (calm()) {
            send_honestly();
            if (said_ < next_ || delivered_ < receives_ || !fin_received_) {
                answer(); // Tells again what it wants, in case the last words were lost.
            }
            return;
        }
        for (std::uint64_t count = random_.below(4); count != 0; --count) {
            misbehave();
        }
    }

    void send_honestly()
    {
        std::uint32_t at = std::max(1U, acknowledged_);
        for (int burst = 0; burst < 16 && at <= sends_; ++burst) {
            Out out = data(at, 536);
            if (at + out.size > stack_edge_) {
                break;
            }
            transmit(out);
            at += static_cast<std::uint32_t>(out.size);
        }
        if (at == sends_ + 1) {
            Out fin;
            fin.flags = flag::ack | flag::fin;
            fin.sequence = at;
            fin.acknowledgment = next_ + (fin_received_ ? 1U : 0U);
            sent_ = std::max(sent_, at + 1);
            transmit(fin);
        }
    }
    Out data(std::uint32_t at, std::size_t most)
    {
        Out out;
        out.flags = flag::ack | flag::psh;
        out.sequence = at;
        out.acknowledgment = std::min(said_, next_);
        out.window = calm() ? 60'000 : window();
        out.size = std::min<std::uint64_t>(most, sends_ + 1 - at);
        if (calm()) {
            out.acknowledgment = next_ + (fin_received_ ? 1U : 0U);
        }
        return out;
    }

    void misbehave()
    {
        const std::uint32_t base = std::max(1U, acknowledged_);
        Out out;
        out.acknowledgment = said_;
        out.sequence = base;
        switch (random_.below(12)) {
        case 0:
        case 1:
        case 2: // Anywhere in the stream: old, overlapping, with gaps, beyond the window
            if (sends_ != 0) {
                const std::uint64_t from = base > 3000 ? base - 3000 : 1;
                const std::uint64_t at = std::min<std::uint64_t>(from + random_.below(12'000), sends_);
                out = data(static_cast<std::uint32_t>(at), 1 + random_.below(1400));
                break;
            }
            return;
        case 3:
        case 4:
            if (base <= sends_) {
                out = data(base, 1 + random_.below(1400));
                break;
            }
            return;
        case 5: // A reset that is not exactly where it must be (RFC 5961 section 3)
            out.flags = flag::rst;
            out.sequence = base + 1 + static_cast<std::uint32_t>(random_.below(1U << 20U));
            break;
        case 6: // A SYN in the middle (RFC 5961 section 4)
            out.flags = random_.chance(500'000) ? flag::syn : flag::syn | flag::ack;
            out.sequence = base + static_cast<std::uint32_t>(random_.below(1U << 18U));
            break;
        case 7: // Far outside
            out.sequence = base + (1U << 30U) + static_cast<std::uint32_t>(random_.below(1U << 29U));
            break;
        case 8: // Of the past (RFC 7323 section 5)
            out.old_timestamp = true;
            out.acknowledgment = next_;
            break;
        case 9:
            out.garbage_options = started_; // Before, they would be what a cookie remembers by.
            break;
        case 10: // Without ACK
            out.flags = flag::psh;
            break;
        default:
            acknowledge(said_, window());
            return;
        }
        transmit(out);
    }

    void transmit(const Out& out)
    {
        tcp::OptionWriter options;
        const bool syn = out.flags == flag::syn && out.sequence == 0;
        if (syn) {
            options.mss(mss_);
        }
        if (syn && sack_) {
            options.sack_permitted();
        }
        if (timestamps_) {
            const auto now = static_cast<std::uint32_t>(clock_.now().time_since_epoch() / 1ms) + 100'000;
            options.timestamps(out.old_timestamp ? now - 50'000 : now, echo_);
        }
        if (syn && scales_) {
            options.window_scale(scale_);
        }
        options.sack(out.sacks);
        std::vector<std::byte> extra(options.bytes().begin(), options.bytes().end());
        if (out.garbage_options) {
            extra.resize(20);
            for (std::byte& each : extra) {
                each = static_cast<std::byte>(random_.next());
                // Not a timestamp: the stack would believe it, and rightly nothing of the peer from then on.
                each = each == std::byte{8} ? std::byte{9} : each;
            }
        }
        const std::size_t header_size = 20 + extra.size();
        std::vector<std::byte> bytes(20 + header_size + out.size);
        store8(bytes.data(), 0x45);
        store16(bytes.data() + 2, static_cast<std::uint16_t>(bytes.size()));
        store8(bytes.data() + 8, 64);
        store8(bytes.data() + 9, wire::protocol::tcp);
        peer_.address.store(bytes.data() + 12);
        local_.address.store(bytes.data() + 16);
        store16(bytes.data() + 10, wire::checksum({bytes.data(), 20}));
        const wire::MutableTcp header{bytes.data() + 20};
        header.set_source_port(peer_.port);
        header.set_destination_port(local_.port);
        header.set_sequence(Sequence{iss_ + out.sequence});
        header.set_acknowledgment((out.flags & flag::ack) != 0 ? Sequence{stack_iss_ + out.acknowledgment}
                                                               : Sequence{0});
        header.set_header_length(header_size);
        header.set_flags(out.flags);
        const unsigned shift = syn || !scales_ ? 0 : scale_;
        header.set_window(static_cast<std::uint16_t>(std::min<std::uint32_t>(out.window >> shift, 65535)));
        std::memcpy(header.data() + 20, extra.data(), extra.size());
        for (std::size_t index = 0; index < out.size; ++index) {
            header.data()[header_size + index] = byte_of(2, out.sequence - 1 + index);
        }
        header.set_checksum(wire::checksum(Bytes{bytes}.subspan(20), peer_.address, local_.address, 6));
        if ((out.flags & flag::ack) != 0 && out.acknowledgment <= highest_ + 1) {
            edge_ = out.acknowledgment + ((out.window >> shift) << shift);
            furthest_edge_ = std::max(furthest_edge_, edge_);
        }
        if (out.size != 0) {
            sent_ = std::max(sent_, static_cast<std::uint32_t>(out.sequence + out.size));
        }
        ++arrived_;
        recorder_.write(clock_.now(), bytes, port::Direction::inbound);
        trace(true, out.flags, out.sequence, out.size, out.acknowledgment, header.window());
        if (!random_.chance(loss_)) {
            wire_.emplace(clock_.now() + trip, std::move(bytes));
        }
    }

    void finish()
    {
        host_.stack.unlisten(local_);
        host_.stack.abort_all();
        application_.close();
        host_.turn();
        host_.loop.run_ready(1s);
        host_.turn();
        const tcp::StackUsage usage = host_.stack.usage();
        EXPECT_EQ(usage.connections, 0U);
        EXPECT_EQ(usage.buffer_bytes, 0U);
        EXPECT_EQ(host_.pool.available(), host_.pool.capacity());
    }

    static constexpr std::uint32_t first_window = 20'000;

    Random random_;
    FakeClock clock_;
    Recorder recorder_{"peer"};
    const wire::Endpoint local_{wire::IpAddress::v4(0x0a000001), 80};
    const wire::Endpoint peer_{wire::IpAddress::v4(0x0a000009), 5000};
    testing::TcpHost host_;
    std::uint64_t sends_;    ///< By the peer
    std::uint64_t receives_; ///< By the peer
    Honest application_;
    TimePoint calm_at_;
    std::multimap<TimePoint, std::vector<std::byte>> wire_; ///< Towards the stack
    std::string complaint_;

    std::uint16_t mss_ = 1460;
    bool scales_ = false;
    std::uint8_t scale_ = 0;
    bool sack_ = false;
    bool timestamps_ = false;
    std::uint32_t loss_ = 0;
    bool known_ = false;
    bool established_ = false;
    bool started_ = false; ///< The application, before this turn
    bool fin_received_ = false;
    std::uint32_t iss_ = 0;
    std::uint32_t stack_iss_ = 0;
    std::uint8_t stack_scale_ = 0;
    std::uint32_t echo_ = 0;
    std::uint32_t sent_ = 0;         ///< End of what the peer has sent
    std::uint32_t acknowledged_ = 0; ///< By the stack
    std::uint32_t stack_edge_ = 0;
    std::uint32_t next_ = 1; ///< RCV.NXT of the peer, without the FIN
    std::uint32_t said_ = 1; ///< The highest that it acknowledged rightly
    std::uint32_t edge_ = 0;
    std::uint32_t furthest_edge_ = 0;
    std::uint32_t highest_ = 1;                                   ///< End of what the stack has sent
    std::vector<std::pair<std::uint32_t, std::uint32_t>> ranges_; ///< Beyond next_
    std::uint64_t delivered_ = 0;
    std::uint64_t answers_ = 0;
    std::uint64_t arrived_ = 0;
};

TEST(TcpSimulation, peer_that_misbehaves_and_calms_down_gets_and_gives_every_byte_once)
{
    const std::uint64_t one = number("SLUICE_SEED", 0);
    const std::uint64_t first = one != 0 ? one : 1;
    const std::uint64_t last = one != 0 ? one : number("SLUICE_SEEDS", 300);
    ASSERT_GE(last, first) << "nothing was simulated";
    for (std::uint64_t seed = first; seed <= last && !HasFailure(); ++seed) {
        HostilePeer world{seed};
        world.run();
        if (HasFailure()) {
            std::printf("replay with SLUICE_SEED=%llu\n", static_cast<unsigned long long>(seed));
        }
    }
}

} // namespace
} // namespace sluice::simulation
