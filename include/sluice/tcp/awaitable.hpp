// Coroutines on a worker. The concrete executor type makes a suspension cost 70 ns; asio's default any_io_executor 190
// ns.
#pragma once

#include <sluice/tcp/loop.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace sluice::tcp {

template <class Value>
using Awaitable = boost::asio::awaitable<Value, Executor>;

inline constexpr boost::asio::use_awaitable_t<Executor> use_awaitable{};

} // namespace sluice::tcp
