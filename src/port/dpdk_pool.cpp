#include <sluice/port/dpdk_log.hpp>
#include <sluice/port/dpdk_pool.hpp>

#include <cstring>
#include <rte_errno.h>
#include <rte_mbuf.h>
#include <rte_mbuf_pool_ops.h>
#include <typeinfo>

namespace sluice::port {
namespace {

static_assert(packet::default_headroom == RTE_PKTMBUF_HEADROOM,
              "received and allocated packets have the same headroom");

constexpr unsigned cache_size = 128;

std::uint16_t tailroom_of(const rte_mbuf& buffer) noexcept
{
    return static_cast<std::uint16_t>(buffer.buf_len - buffer.data_off - buffer.data_len);
}

} // namespace

Expected<std::unique_ptr<DpdkPool>, MachineError> DpdkPool::create(const std::string& name, std::size_t count,
                                                                   std::size_t data_room)
{
    // ring_mt_rts: the default ring makes everyone wait for a thread that was preempted between its two steps.
    rte_mempool* const pool = rte_pktmbuf_pool_create_by_ops(
        name.c_str(), static_cast<unsigned>(count), count > 4 * cache_size ? cache_size : 0, 0,
        static_cast<std::uint16_t>(packet::default_headroom + data_room), SOCKET_ID_ANY, "ring_mt_rts");
    if (pool == nullptr) {
        const std::string need = std::to_string((memory_of(count, data_room) >> 20U) + 1);
        return failure(MachineError{"no memory for " + std::to_string(count) + " packet buffers (" + name + ", " +
                                        need + " MiB): " + rte_strerror(rte_errno),
                                    "give `memory: size` at least " + need + " MiB more"});
    }
    return std::unique_ptr<DpdkPool>{new DpdkPool{pool, count}};
}

DpdkPool::~DpdkPool() { rte_mempool_free(mempool_); }

std::size_t DpdkPool::memory_of(std::size_t count, std::size_t data_room) noexcept
{
    const std::size_t element = sizeof(rte_mbuf) + packet::default_headroom + data_room;
    return count * rte_mempool_calc_obj_size(static_cast<std::uint32_t>(element), 0, nullptr);
}

packet::Packet DpdkPool::allocate() noexcept
{
    rte_mbuf* const buffer = rte_pktmbuf_alloc(mempool_);
    return buffer == nullptr ? packet::Packet{} : adopt(buffer);
}

packet::Packet DpdkPool::adopt(rte_mbuf* buffer) noexcept
{
    return packet::Packet{
        *this, buffer, rte_pktmbuf_mtod(buffer, std::byte*), buffer->data_len, buffer->data_off, tailroom_of(*buffer)};
}

void DpdkPool::release(void* buffer) noexcept
{
    auto* const returned = static_cast<rte_mbuf*>(buffer);
#if defined(__SANITIZE_ADDRESS__)
    // AddressSanitizer knows nothing of this memory; a reader of a freed packet meets this instead of its old bytes.
    std::memset(returned->buf_addr, 0xdb, returned->buf_len);
#endif
    rte_pktmbuf_free(returned);
}

std::size_t DpdkPool::available() const noexcept { return rte_mempool_avail_count(mempool_); }

bool DpdkPool::is_contiguous() const noexcept { return mempool_->nb_mem_chunks == 1; }

rte_mbuf* DpdkPool::lend(const packet::Packet& packet) noexcept
{
    auto* const buffer = static_cast<rte_mbuf*>(packet.buffer());
    buffer->data_off = static_cast<std::uint16_t>(packet.data() - static_cast<std::byte*>(buffer->buf_addr));
    buffer->data_len = static_cast<std::uint16_t>(packet.size());
    buffer->pkt_len = static_cast<std::uint32_t>(packet.size());
    buffer->nb_segs = 1;
    buffer->next = nullptr;
    buffer->ol_flags = 0;
    return buffer;
}

bool DpdkPool::owns(const packet::Packet& packet) noexcept { return typeid(*packet.pool()) == typeid(DpdkPool); }

} // namespace sluice::port
