// A well-behaved HTTP/2 client (nghttp2's) over a Peer of the lab.
#pragma once

#include "lab.hpp"

#include <nghttp2/nghttp2.h>

#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <utility>

namespace sluice::proxy::test {

using NameValues = std::vector<std::pair<std::string, std::string>>;

class Http2Client {
public:
    struct Answer {
        std::vector<std::string> statuses; ///< Informational ones first.
        NameValues fields;                 ///< Trailers too, in order of arrival.
        std::string body;
        bool ended = false;
        std::optional<std::uint32_t> reset;

        [[nodiscard]] bool over() const { return ended || reset; }
        [[nodiscard]] std::string status() const { return statuses.empty() ? "" : statuses.back(); }
    };

    explicit Http2Client(PeerRef connected, bool hold_windows = false) : peer{std::move(connected)}
    {
        nghttp2_session_callbacks* callbacks = nullptr;
        nghttp2_session_callbacks_new(&callbacks);
        nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
        nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
        nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
        nghttp2_option* options = nullptr;
        nghttp2_option_new(&options);
        nghttp2_option_set_no_auto_window_update(options, hold_windows ? 1 : 0);
        nghttp2_option_set_no_http_messaging(options, 1); // Tests send what a client must not send.
        nghttp2_session_client_new2(&session, callbacks, this, options);
        nghttp2_option_del(options);
        nghttp2_session_callbacks_del(callbacks);
        nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, nullptr, 0);
        peer->on_data = [this](Peer& from) {
            const std::string bytes = from.take();
            nghttp2_session_mem_recv(session, reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
            flush();
        };
        flush();
    }
    ~Http2Client()
    {
        peer->on_data = nullptr;
        nghttp2_session_del(session);
    }
    Http2Client(const Http2Client&) = delete;
    Http2Client& operator=(const Http2Client&) = delete;

    std::int32_t request(NameValues fields, bool end = true)
    {
        if (!fields.empty() && !fields.front().first.starts_with(':')) {
            fields.insert(fields.begin(),
                          {{":method", "GET"}, {":scheme", "http"}, {":authority", "example.org"}, {":path", "/"}});
        }
        std::vector<nghttp2_nv> block;
        for (auto& [name, value] : fields) {
            block.push_back({reinterpret_cast<std::uint8_t*>(name.data()),
                             reinterpret_cast<std::uint8_t*>(value.data()), name.size(), value.size(),
                             NGHTTP2_NV_FLAG_NONE});
        }
        const std::uint8_t flags = end ? NGHTTP2_FLAG_END_STREAM : NGHTTP2_FLAG_NONE;
        const std::int32_t id =
            nghttp2_submit_headers(session, flags, -1, nullptr, block.data(), block.size(), nullptr);
        flush();
        return id;
    }
    std::int32_t get(const std::string& path = "/")
    {
        return request({{":method", "GET"}, {":scheme", "http"}, {":authority", "example.org"}, {":path", path}});
    }
    std::int32_t post(NameValues more = {})
    {
        NameValues fields{{":method", "POST"}, {":scheme", "http"}, {":authority", "example.org"}, {":path", "/"}};
        fields.insert(fields.end(), more.begin(), more.end());
        return request(fields, false);
    }
    void data(std::int32_t id, std::string body, bool end)
    {
        uploads[id].data += body;
        uploads[id].end = end;
        nghttp2_data_provider provider{};
        provider.source.ptr = this;
        provider.read_callback = on_read;
        if (nghttp2_submit_data(session, NGHTTP2_FLAG_END_STREAM, id, &provider) != 0) {
            nghttp2_session_resume_data(session, id);
        }
        flush();
    }
    void reset(std::int32_t id)
    {
        nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, id, NGHTTP2_CANCEL);
        flush();
    }
    void open_window(std::int32_t id, std::int32_t bytes)
    {
        nghttp2_submit_window_update(session, NGHTTP2_FLAG_NONE, id, bytes);
        nghttp2_submit_window_update(session, NGHTTP2_FLAG_NONE, 0, bytes);
        flush();
    }

    PeerRef peer;
    nghttp2_session* session = nullptr;
    std::map<std::int32_t, Answer> answers;
    int goaways = 0;

private:
    struct Upload {
        std::string data;
        bool end = false;
    };

    void flush()
    {
        const std::uint8_t* bytes = nullptr;
        while (const auto size = nghttp2_session_mem_send(session, &bytes)) {
            if (size < 0) {
                break;
            }
            peer->send(std::string{reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(size)});
        }
    }
    static Http2Client& self(void* user) { return *static_cast<Http2Client*>(user); }
    static int on_header(nghttp2_session*, const nghttp2_frame* frame, const std::uint8_t* name, std::size_t name_size,
                         const std::uint8_t* value, std::size_t value_size, std::uint8_t, void* user)
    {
        Answer& answer = self(user).answers[frame->hd.stream_id];
        const std::string key{reinterpret_cast<const char*>(name), name_size};
        const std::string text{reinterpret_cast<const char*>(value), value_size};
        if (key == ":status") {
            answer.statuses.push_back(text);
        } else {
            answer.fields.emplace_back(key, text);
        }
        return 0;
    }
    static int on_data(nghttp2_session*, std::uint8_t, std::int32_t id, const std::uint8_t* data, std::size_t size,
                       void* user)
    {
        self(user).answers[id].body.append(reinterpret_cast<const char*>(data), size);
        return 0;
    }
    static int on_frame(nghttp2_session*, const nghttp2_frame* frame, void* user)
    {
        Http2Client& client = self(user);
        if (frame->hd.type == NGHTTP2_RST_STREAM) {
            client.answers[frame->hd.stream_id].reset = frame->rst_stream.error_code;
        } else if (frame->hd.type == NGHTTP2_GOAWAY) {
            ++client.goaways;
        } else if (frame->hd.stream_id != 0 && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0 &&
                   (frame->hd.type == NGHTTP2_DATA || frame->hd.type == NGHTTP2_HEADERS)) {
            client.answers[frame->hd.stream_id].ended = true;
        }
        return 0;
    }
    static int on_close(nghttp2_session*, std::int32_t, std::uint32_t, void*) { return 0; }
    static ssize_t on_read(nghttp2_session*, std::int32_t id, std::uint8_t* out, std::size_t size, std::uint32_t* flags,
                           nghttp2_data_source* source, void*)
    {
        Upload& upload = static_cast<Http2Client*>(source->ptr)->uploads[id];
        const std::size_t part = upload.data.copy(reinterpret_cast<char*>(out), size);
        upload.data.erase(0, part);
        if (upload.data.empty() && upload.end) {
            *flags |= NGHTTP2_DATA_FLAG_EOF;
        } else if (part == 0) {
            return NGHTTP2_ERR_DEFERRED;
        }
        return static_cast<ssize_t>(part);
    }

    std::map<std::int32_t, Upload> uploads;
};

} // namespace sluice::proxy::test
