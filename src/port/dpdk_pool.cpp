#include <sluice/port/dpdk_log.hpp>
#include <sluice/port/dpdk_pool.hpp>

#include <cstring>
#include <rte_errno.h>
#include <rte_mbuf.h>
#include <rte_mbuf_pool_ops.h>
#include <rte_memzone.h>
#include <typeinfo>

namespace sluice::port {
namespace {

static_assert(packet::default_headroom == RTE_PKTMBUF_HEADROOM,
              "received and allocated packets have the same headroom");

constexpr unsigned cache_size = 128;
// The default ring makes everyone wait for a thread that was preempted between its two steps.
constexpr const char* pool_ring = "ring_mt_rts";

std::uint16_t tailroom_of(const rte_mbuf& buffer) noexcept
{
    return static_cast<std::uint16_t>(buffer.buf_len - buffer.data_off - buffer.data_len);
}

constexpr std::uint16_t room_of(std::size_t data_room) noexcept
{
    return static_cast<std::uint16_t>(packet::default_headroom + data_room);
}

constexpr unsigned cache_of(std::size_t count) noexcept { return count > 4 * cache_size ? cache_size : 0; }

void free_zone(rte_mempool_memhdr* /*chunk*/, void* zone) { rte_memzone_free(static_cast<const rte_memzone*>(zone)); }

// Memory in which also physical addresses follow each other, where devices use those; null when there is none.
const rte_memzone* reserve_contiguous(const std::string& name, std::size_t bytes) noexcept
{
    constexpr unsigned page = 4096;
    return rte_memzone_reserve_aligned(("mem_" + name).c_str(), bytes, SOCKET_ID_ANY, RTE_MEMZONE_IOVA_CONTIG, page);
}

// One buffer right behind the other. DPDK's own way leaves a gap wherever a buffer would cross the end of a page (with
// 4 KiB pages nearly half of the memory), although net_af_xdp tells the kernel of count * size bytes: the buffers
// behind that could never be sent.
rte_mempool* create_contiguous(const std::string& name, std::size_t count, std::size_t data_room) noexcept
{
    const std::size_t element = sizeof(rte_mbuf) + room_of(data_room);
    rte_mempool* const pool = rte_mempool_create_empty(
        name.c_str(), static_cast<unsigned>(count), static_cast<unsigned>(element), cache_of(count),
        sizeof(rte_pktmbuf_pool_private), SOCKET_ID_ANY, RTE_MEMPOOL_F_NO_IOVA_CONTIG);
    if (pool == nullptr) {
        return nullptr;
    }
    const std::size_t bytes = DpdkPool::memory_of(count, data_room);
    const rte_memzone* const zone =
        rte_mempool_set_ops_byname(pool, pool_ring, nullptr) == 0 ? reserve_contiguous(name, bytes) : nullptr;
    if (zone == nullptr) {
        rte_mempool_free(pool);
        return nullptr;
    }
    rte_pktmbuf_pool_private settings{};
    settings.mbuf_data_room_size = room_of(data_room);
    rte_pktmbuf_pool_init(pool, &settings);
    const int filled = rte_mempool_populate_iova(pool, static_cast<char*>(zone->addr), zone->iova, bytes, free_zone,
                                                 const_cast<rte_memzone*>(zone));
    if (filled != static_cast<int>(count)) {
        if (filled <= 0) {
            rte_memzone_free(zone);
        }
        rte_mempool_free(pool);
        return nullptr;
    }
    rte_mempool_obj_iter(pool, rte_pktmbuf_init, nullptr);
    return pool;
}

} // namespace

Expected<std::unique_ptr<DpdkPool>, MachineError> DpdkPool::create(const std::string& name, std::size_t count,
                                                                   std::size_t data_room)
{
    rte_mempool* pool = create_contiguous(name, count, data_room);
    const bool contiguous = pool != nullptr;
    if (!contiguous) {
        pool = rte_pktmbuf_pool_create_by_ops(name.c_str(), static_cast<unsigned>(count), cache_of(count), 0,
                                              room_of(data_room), SOCKET_ID_ANY, pool_ring);
    }
    if (pool == nullptr) {
        const std::string need = std::to_string((memory_of(count, data_room) >> 20U) + 1);
        return failure(MachineError{"no memory for " + std::to_string(count) + " packet buffers (" + name + ", " +
                                        need + " MiB): " + rte_strerror(rte_errno),
                                    "give `memory: size` at least " + need + " MiB more"});
    }
    return std::unique_ptr<DpdkPool>{new DpdkPool{pool, count, contiguous}};
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
