// Answers, flow control, limits and shutdown of a session.
#include "http2_support.hpp"

using namespace sluice;
using namespace sluice::http;
using namespace sluice::http::http2;
using namespace sluice::http::http2::test;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

namespace {

ResponseHead response(std::uint16_t status, const NameValues& fields = {})
{
    ResponseHead head;
    head.status = status;
    for (const auto& [name, value] : fields) {
        EXPECT_TRUE(head.fields.add(name, value));
    }
    return head;
}

TEST(Http2Preface, is_told_from_other_protocols_as_soon_as_it_differs)
{
    const std::string preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    const auto detect = [](std::string_view text) {
        return detect_preface({reinterpret_cast<const std::byte*>(text.data()), text.size()});
    };
    for (std::size_t length = 0; length < preface.size(); ++length) {
        EXPECT_EQ(detect(std::string_view{preface}.substr(0, length)), Preface::undecided) << length;
        std::string wrong = preface.substr(0, length) + '?';
        EXPECT_EQ(detect(wrong), Preface::other) << length;
    }
    EXPECT_EQ(detect(preface), Preface::http2);
    EXPECT_EQ(detect(preface + "more"), Preface::http2);
    EXPECT_EQ(detect("POST / HTTP/1.1\r\n"), Preface::other);
}

TEST(Http2Response, names_are_lowered_and_hop_by_hop_fields_dropped)
{
    Connection connection;
    const StreamId id = connection.request(simple_get);
    ASSERT_TRUE(connection.session.submit_response(id,
                                                   response(200, {{"Content-Type", "Text/Plain"},
                                                                  {"Connection", "close, X-Private"},
                                                                  {"X-Private", "1"},
                                                                  {"Keep-Alive", "timeout=5"},
                                                                  {"Transfer-Encoding", "chunked"},
                                                                  {"Upgrade", "h2c"},
                                                                  {"Set-Cookie", "A=1"}}),
                                                   false));
    connection.exchange();
    EXPECT_EQ(connection.answers[id].status, "200");
    EXPECT_THAT(connection.answers[id].fields,
                ElementsAre(Pair("content-type", "Text/Plain"), Pair("set-cookie", "A=1")));
    EXPECT_TRUE(connection.answers[id].ended);
    EXPECT_TRUE(connection.handler.requests.at(id).complete);
    EXPECT_EQ(connection.session.open_streams(), 0U);
}

TEST(Http2Response, informational_heads_precede_the_final_one)
{
    Connection connection;
    const StreamId id = connection.request(simple_post, false);
    EXPECT_TRUE(connection.session.submit_informational(id, response(100)));
    EXPECT_TRUE(connection.session.submit_informational(id, response(103, {{"Link", "</x>"}})));
    EXPECT_FALSE(connection.session.submit_informational(id, response(101)));
    EXPECT_FALSE(connection.session.submit_response(id, response(100), false));
    connection.send_data(id, "x", true);
    EXPECT_TRUE(connection.session.submit_response(id, response(204), false));
    EXPECT_FALSE(connection.session.submit_response(id, response(204), false));
    EXPECT_FALSE(connection.session.submit_informational(id, response(103)));
    connection.exchange();
    EXPECT_THAT(connection.answers[id].informational, ElementsAre("100", "103"));
    EXPECT_EQ(connection.answers[id].status, "204");
}

TEST(Http2Response, body_is_pulled_deferred_resumed_and_ended_with_trailers)
{
    Connection connection;
    const StreamId id = connection.request(simple_get);
    ASSERT_TRUE(connection.session.submit_response(id, response(200), true));
    connection.exchange();
    EXPECT_EQ(connection.answers[id].status, "200");
    EXPECT_EQ(connection.handler.pulls, 1);
    EXPECT_FALSE(connection.session.wants_output());

    auto& source = connection.handler.sources[id];
    source.data = std::string(40000, 'x');
    connection.session.resume(id);
    connection.exchange();
    EXPECT_EQ(connection.answers[id].body, std::string(40000, 'x'));
    EXPECT_FALSE(connection.answers[id].ended);

    source.data = "end";
    source.end = true;
    ASSERT_TRUE(source.trailers.add("Grpc-Status", "0"));
    connection.session.resume(id);
    connection.exchange();
    EXPECT_EQ(connection.answers[id].body.substr(40000), "end");
    EXPECT_THAT(connection.answers[id].trailers, ElementsAre(Pair("grpc-status", "0")));
    EXPECT_TRUE(connection.answers[id].ended);
    EXPECT_TRUE(connection.handler.requests.at(id).complete);
}

TEST(Http2Response, client_that_does_not_read_stops_the_pulling_at_its_window)
{
    Connection connection;
    const StreamId id = connection.request(simple_get);
    connection.handler.sources[id].data = std::string(200000, 'x');
    ASSERT_TRUE(connection.session.submit_response(id, response(200), true));
    connection.exchange();
    EXPECT_EQ(connection.answers[id].body.size(), 65535U);
    EXPECT_EQ(connection.handler.sources[id].data.size(), 200000U - 65535U);
    connection.client_consumes(id, 65535);
    EXPECT_EQ(connection.answers[id].body.size(), 2 * 65535U);
}

TEST(Http2Response, that_ends_before_its_request_resets_it_without_error_and_discards_the_rest)
{
    Connection connection;
    const StreamId id = connection.request(simple_post, false);
    ASSERT_TRUE(connection.session.submit_response(id, response(413), false));
    connection.exchange();
    EXPECT_EQ(connection.answers[id].status, "413");
    EXPECT_EQ(connection.answers[id].reset, NGHTTP2_NO_ERROR);
    EXPECT_TRUE(connection.handler.requests.at(id).complete);
    connection.send_data(id, "late", true);
    EXPECT_EQ(connection.handler.requests.at(id).body, "");
    EXPECT_FALSE(connection.failure);
}

TEST(Http2Response, too_large_to_frame_resets_the_stream)
{
    Connection connection;
    const StreamId id = connection.request(simple_get);
    ResponseHead head = response(200);
    head.fields = Fields{1 << 20};
    ASSERT_TRUE(head.fields.add("x", std::string(200000, 'a')));
    const bool submitted = connection.session.submit_response(id, head, false);
    connection.exchange();
    EXPECT_TRUE(!submitted || connection.handler.requests.at(id).reset == ErrorCode::internal_error);
    EXPECT_EQ(connection.answers[id].status, "");
}

TEST(Http2Stream, reset_by_the_client_is_told_once)
{
    Connection connection;
    const StreamId id = connection.request(simple_post, false);
    connection.reset(id);
    EXPECT_EQ(connection.handler.requests.at(id).reset, ErrorCode::cancel);
    EXPECT_EQ(connection.session.open_streams(), 0U);
    EXPECT_FALSE(connection.session.submit_response(id, response(200), false));
}

TEST(Http2Stream, reset_by_us_in_the_middle_of_a_body_never_looks_complete)
{
    Connection connection;
    const StreamId id = connection.request(simple_get);
    connection.handler.sources[id].data = "half";
    ASSERT_TRUE(connection.session.submit_response(id, response(200), true));
    connection.exchange();
    connection.session.reset(id, ErrorCode::internal_error);
    connection.exchange();
    EXPECT_EQ(connection.answers[id].body, "half");
    EXPECT_FALSE(connection.answers[id].ended);
    EXPECT_EQ(connection.answers[id].reset, NGHTTP2_INTERNAL_ERROR);
    EXPECT_EQ(connection.handler.requests.at(id).reset, ErrorCode::internal_error);
}

TEST(Http2FlowControl, windows_open_only_as_the_body_is_consumed)
{
    Limits limits;
    limits.stream_window_bytes = 1000;
    limits.connection_window_bytes = 100000;
    Connection connection{limits};
    const StreamId id = connection.request(simple_post, false);
    EXPECT_EQ(nghttp2_session_get_stream_remote_window_size(connection.client, id), 1000);
    connection.send_data(id, std::string(1000, 'x'), false);
    EXPECT_EQ(connection.handler.requests.at(id).body.size(), 1000U);
    EXPECT_EQ(nghttp2_session_get_stream_remote_window_size(connection.client, id), 1000) << "no WINDOW_UPDATE yet";
    connection.session.consume(id, 1000);
    connection.exchange();
    // The client's library did not count our raw DATA frame, so the update shows as growth.
    EXPECT_EQ(nghttp2_session_get_stream_remote_window_size(connection.client, id), 2000);
}

TEST(Http2FlowControl, a_client_that_overruns_its_stream_window_is_reset)
{
    Limits limits;
    limits.stream_window_bytes = 1000;
    Connection connection{limits};
    const StreamId id = connection.request(simple_post, false);
    connection.send_data(id, std::string(1001, 'x'), false);
    EXPECT_EQ(connection.answers[id].reset, NGHTTP2_FLOW_CONTROL_ERROR);
    EXPECT_EQ(connection.handler.requests.at(id).reset, ErrorCode::flow_control_error);
}

TEST(Http2FlowControl, a_client_that_overruns_the_connection_window_is_cut_off)
{
    Limits limits;
    limits.stream_window_bytes = 1 << 20;
    limits.connection_window_bytes = 65535;
    Connection connection{limits};
    const StreamId id = connection.request(simple_post, false);
    for (int frame = 0; frame < 5; ++frame) {
        connection.send_data(id, std::string(16384, 'x'), false);
    }
    EXPECT_EQ(connection.failure.value_or(Reason::bare_lf), Reason::http2_flow_control_error);
    EXPECT_LE(connection.handler.requests.at(id).body.size(), 65535U);
}

TEST(Http2FlowControl, what_a_dead_stream_left_unconsumed_is_given_back_to_the_connection)
{
    Limits limits;
    limits.connection_window_bytes = 65535;
    limits.resets = {1000, 1000};
    Connection connection{limits};
    for (int round = 0; round < 20; ++round) {
        const StreamId id = connection.request(simple_post, false);
        connection.send_data(id, std::string(16000, 'x'), false);
        EXPECT_EQ(connection.handler.requests.at(id).body.size(), 16000U) << round;
        connection.reset(id);
    }
    EXPECT_FALSE(connection.failure);
    EXPECT_TRUE(connection.goaways.empty());
}

TEST(Http2Shutdown, announces_waits_for_the_ping_and_finishes_with_its_streams)
{
    Connection connection;
    const StreamId first = connection.request(simple_get);
    connection.session.shutdown();
    std::string out;
    connection.session.append_output(out, 1 << 20, connection.now);
    nghttp2_session_mem_recv(connection.client, reinterpret_cast<const std::uint8_t*>(out.data()), out.size());
    ASSERT_THAT(connection.goaways, ElementsAre(Pair(0x7fffffff, NGHTTP2_NO_ERROR)));
    // A request that crossed the announcement is still served.
    connection.feed(Connection::frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, 3,
                                      Connection::get_block));
    EXPECT_TRUE(connection.handler.requests.contains(3));
    connection.exchange();
    EXPECT_THAT(connection.goaways, ElementsAre(Pair(0x7fffffff, NGHTTP2_NO_ERROR), Pair(3, NGHTTP2_NO_ERROR)));
    EXPECT_FALSE(connection.session.finished());
    EXPECT_TRUE(connection.session.submit_response(first, response(200), false));
    EXPECT_TRUE(connection.session.submit_response(3, response(200), false));
    connection.exchange();
    EXPECT_TRUE(connection.session.finished());
    EXPECT_TRUE(connection.handler.requests.at(first).complete);
}

TEST(Http2Shutdown, at_once_ignores_streams_behind_the_last_goaway)
{
    Connection connection;
    connection.request(simple_get);
    connection.session.shutdown_now();
    std::string out;
    connection.session.append_output(out, 1 << 20, connection.now);
    connection.feed(Connection::frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, 3,
                                      Connection::get_block));
    EXPECT_FALSE(connection.handler.requests.contains(3));
    EXPECT_FALSE(connection.failure);
}

/// A connection is cut with ENHANCE_YOUR_CALM and the reason is told once, as the connection's.
void expect_flood(const Connection& connection, Reason reason)
{
    ASSERT_TRUE(connection.failure);
    EXPECT_EQ(name(*connection.failure), name(reason));
    ASSERT_FALSE(connection.goaways.empty());
    EXPECT_EQ(connection.goaways.back().second, NGHTTP2_ENHANCE_YOUR_CALM);
    EXPECT_TRUE(connection.session.finished());
    EXPECT_EQ(connection.handler.refused.back(), (std::pair<StreamId, Reason>{0, reason}));
}

TEST(Http2Limit, rapid_resets_end_the_connection)
{
    Limits limits;
    limits.resets = {10, 1};
    Connection connection{limits};
    for (int round = 0; round < 10; ++round) {
        connection.reset(connection.request(simple_get));
    }
    EXPECT_FALSE(connection.failure);
    connection.reset(connection.request(simple_get));
    expect_flood(connection, Reason::http2_reset_flood);
}

TEST(Http2Limit, resets_within_the_rate_are_fine_for_ever)
{
    Limits limits;
    limits.resets = {2, 1};
    Connection connection{limits};
    for (int round = 0; round < 100; ++round) {
        connection.reset(connection.request(simple_get));
        connection.now += std::chrono::seconds{1};
    }
    EXPECT_FALSE(connection.failure);
}

TEST(Http2Limit, resets_that_we_are_provoked_into_count_as_well)
{
    Limits limits;
    limits.resets = {10, 1};
    Connection connection{limits};
    for (int round = 0; round < 10; ++round) {
        // A WINDOW_UPDATE beyond 2^31-1 makes the server reset the stream (CVE-2025-8671).
        connection.send_raw(
            Connection::frame(NGHTTP2_WINDOW_UPDATE, 0, connection.request(simple_get), "\x7f\xff\xff\xff"));
    }
    EXPECT_FALSE(connection.failure);
    connection.send_raw(
        Connection::frame(NGHTTP2_WINDOW_UPDATE, 0, connection.request(simple_get), "\x7f\xff\xff\xff"));
    connection.feed("");
    expect_flood(connection, Reason::http2_reset_flood);
}

TEST(Http2Limit, malformed_requests_count_as_provoked_resets)
{
    Limits limits;
    limits.resets = {5, 1};
    Connection connection{limits};
    for (int round = 0; round < 6; ++round) {
        connection.request({{":method", "GET"}});
    }
    connection.feed("");
    expect_flood(connection, Reason::http2_reset_flood);
}

TEST(Http2Limit, our_own_resets_do_not_count_against_the_client)
{
    Limits limits;
    limits.resets = {5, 1};
    Connection connection{limits};
    for (int round = 0; round < 20; ++round) {
        connection.session.reset(connection.request(simple_get), ErrorCode::internal_error);
        connection.exchange();
    }
    EXPECT_FALSE(connection.failure);
}

TEST(Http2Limit, ping_flood_ends_the_connection)
{
    Connection connection;
    const std::string ping = Connection::frame(NGHTTP2_PING, 0, 0, "12345678");
    for (int round = 0; round < 250; ++round) {
        connection.send_raw(ping);
    }
    expect_flood(connection, Reason::http2_control_flood);
}

TEST(Http2Limit, settings_flood_ends_the_connection)
{
    Connection connection;
    connection.exchange();
    for (int round = 0; round < 250; ++round) {
        connection.feed(Connection::frame(NGHTTP2_SETTINGS, 0, 0, ""));
        connection.drain();
    }
    EXPECT_EQ(connection.failure.value_or(Reason::bare_lf), Reason::http2_control_flood);
    EXPECT_TRUE(connection.session.finished());
}

TEST(Http2Limit, pings_that_are_never_answered_are_not_queued_for_ever)
{
    Limits limits;
    limits.control_frames = {1000000, 1000000};
    Connection connection{limits};
    connection.exchange();
    std::string pings;
    for (int round = 0; round < 1000; ++round) {
        pings += Connection::frame(NGHTTP2_PING, 0, 0, "12345678");
    }
    connection.feed(pings);
    connection.exchange();
    expect_flood(connection, Reason::http2_control_flood);
}

TEST(Http2Limit, unknown_frames_flood_ends_the_connection)
{
    Connection connection;
    for (int round = 0; round < 250; ++round) {
        connection.send_raw(Connection::frame(0x7f, 0, 0, "x"));
    }
    expect_flood(connection, Reason::http2_control_flood);
}

TEST(Http2Limit, empty_data_flood_ends_the_connection)
{
    for (const bool padded : {false, true}) {
        Connection connection;
        const StreamId id = connection.request(simple_post, false);
        for (int round = 0; round < 150; ++round) {
            connection.send_raw(padded
                                    ? Connection::frame(NGHTTP2_DATA, NGHTTP2_FLAG_PADDED, id, std::string{"\x01\0", 2})
                                    : Connection::frame(NGHTTP2_DATA, 0, id, ""));
        }
        expect_flood(connection, Reason::http2_empty_data_flood);
    }
}

TEST(Http2Limit, continuation_flood_ends_the_connection)
{
    Connection connection;
    connection.exchange();
    connection.feed(Connection::frame(NGHTTP2_HEADERS, 0, 1, Connection::get_block));
    for (int round = 0; round < 20; ++round) {
        connection.feed(Connection::frame(NGHTTP2_CONTINUATION, 0, 1, ""));
    }
    connection.exchange();
    expect_flood(connection, Reason::http2_continuation_flood);
    EXPECT_TRUE(connection.handler.requests.empty());
}

TEST(Http2Limit, streams_over_the_limit_are_refused)
{
    Limits limits;
    limits.concurrent_streams = 2;
    Connection connection{limits};
    connection.feed("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + Connection::frame(NGHTTP2_SETTINGS, 0, 0, ""));
    for (const StreamId id : {1, 3, 5}) {
        // Before the client has acknowledged the limit.
        connection.feed(Connection::frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, id,
                                          Connection::get_block));
    }
    EXPECT_EQ(connection.session.open_streams(), 2U);
    EXPECT_THAT(connection.handler.refused, ElementsAre(Pair(5, Reason::http2_too_many_streams)));
}

TEST(Http2Limit, memory_of_a_session_is_capped)
{
    Limits limits;
    limits.memory_bytes = 128 * 1024;
    limits.concurrent_streams = 10000;
    Connection connection{limits};
    connection.exchange();
    std::string many;
    for (StreamId id = 1; id < 20000; id += 2) {
        many += Connection::frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, id,
                                  "\x83\x84\x86\x41\x01"
                                  "a");
    }
    connection.feed(many);
    EXPECT_EQ(connection.failure.value_or(Reason::bare_lf), Reason::http2_memory);
    EXPECT_LE(connection.session.memory_bytes(), 128U * 1024);
}

TEST(Http2Session, garbage_instead_of_the_preface_ends_the_connection)
{
    RecordingHandler handler;
    ServerSession session{handler, {}, TimePoint{}};
    const std::string_view text = "GET / HTTP/1.1\r\n\r\n";
    const auto fed = session.feed({reinterpret_cast<const std::byte*>(text.data()), text.size()}, TimePoint{});
    ASSERT_FALSE(fed);
    EXPECT_EQ(fed.error(), Reason::http2_protocol_error);
    EXPECT_THAT(handler.refused, ElementsAre(Pair(0, Reason::http2_protocol_error)));
}

TEST(Http2Session, broken_compression_ends_the_connection)
{
    Connection connection;
    connection.send_raw(Connection::frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, 1,
                                          "\xff\xff\xff\xff\xff\xff\xff"));
    EXPECT_EQ(connection.goaways.back().second, NGHTTP2_COMPRESSION_ERROR);
    EXPECT_EQ(connection.handler.refused.back(), (std::pair<StreamId, Reason>{0, Reason::http2_compression_error}));
    EXPECT_TRUE(connection.session.finished());
}

TEST(Http2Session, request_cut_at_every_byte_is_the_same_request)
{
    const std::string preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    const std::string stream = preface + Connection::frame(NGHTTP2_SETTINGS, 0, 0, "") +
                               Connection::frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 1,
                                                 "\x83\x84\x86\x41\x01"
                                                 "a") +
                               Connection::frame(NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, 1, "body");
    for (std::size_t cut = 0; cut <= stream.size(); ++cut) {
        RecordingHandler handler;
        ServerSession session{handler, {}, TimePoint{}};
        for (const std::string& piece : {stream.substr(0, cut), stream.substr(cut)}) {
            EXPECT_TRUE(session.feed({reinterpret_cast<const std::byte*>(piece.data()), piece.size()}, TimePoint{}));
        }
        ASSERT_TRUE(handler.requests.contains(1)) << cut;
        EXPECT_EQ(handler.requests[1].body, "body");
        EXPECT_TRUE(handler.requests[1].ended);
    }
}

TEST(Http2Session, idle_costs_little)
{
    Connection connection;
    connection.exchange();
    RecordProperty("idle_bytes", static_cast<int>(connection.session.memory_bytes()));
    EXPECT_LT(connection.session.memory_bytes(), 64U * 1024);
}

} // namespace
