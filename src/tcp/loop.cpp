#include <sluice/tcp/loop.hpp>

#include <boost/asio/detail/call_stack.hpp>
#include <boost/asio/detail/thread_context.hpp>
#include <boost/asio/detail/thread_info_base.hpp>

#include <bit>

namespace sluice::tcp {
namespace {

// Asio recycles coroutine frames in a thread_info_base, but only on threads that entered one of its thread contexts;
// without this entry every nested co_await is a malloc.
class FrameRecycling : public boost::asio::detail::thread_context {
public:
    class Entry {
    public:
        Entry(FrameRecycling& context, boost::asio::detail::thread_info_base& info) : entry_{&context, info} {}

    private:
        thread_call_stack::context entry_;
    };
};

// Reused blocks would hide a use after free from AddressSanitizer.
#if defined(__SANITIZE_ADDRESS__)
constexpr bool recycle = false;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
constexpr bool recycle = false;
#else
constexpr bool recycle = true;
#endif
#else
constexpr bool recycle = true;
#endif

std::size_t class_of(std::size_t size, std::size_t smallest) noexcept
{
    return static_cast<std::size_t>(std::bit_width((size - 1) / smallest));
}

} // namespace

struct Loop::Frames {
    FrameRecycling context;
    boost::asio::detail::thread_info_base info;
};

Loop::Loop(const Clock& clock) : clock_{clock}, now_{clock.now()}, frames_{std::make_unique<Frames>()}, timers_{now_} {}

Loop::~Loop()
{
    discard();
    shutdown();
    destroy();
    discard();
    for (const FreeList& list : free_) {
        FreeBlock* block = list.first;
        while (block != nullptr) {
            FreeBlock* const next = block->next;
            ::operator delete(block);
            block = next;
        }
    }
}

void Loop::discard() noexcept
{
    // A freed handler may own a coroutine whose locals end further operations; those queue again.
    while (head_ != nullptr) {
        Task* task = head_;
        head_ = task->next_;
        if (head_ == nullptr) {
            tail_ = nullptr;
        }
        task->function_(task, false);
    }
}

std::size_t Loop::run_ready(Duration budget, std::size_t limit)
{
    if (head_ == nullptr) {
        return 0;
    }
    const FrameRecycling::Entry entry{frames_->context, frames_->info};
    const TimePoint end = clock_.now() + budget;
    std::size_t count = 0;
    while (head_ != nullptr && count < limit) {
        Task* task = head_;
        head_ = task->next_;
        if (head_ == nullptr) {
            tail_ = nullptr;
        }
        ++count;
        task->function_(task, true);
        if (clock_.now() > end) {
            break;
        }
    }
    return count;
}

void* Loop::allocate(std::size_t size)
{
    const std::size_t index = class_of(size, smallest_block);
    if (!recycle || index >= block_classes) {
        return ::operator new(size);
    }
    FreeList& list = free_[index];
    if (FreeBlock* block = list.first) {
        list.first = block->next;
        list.bytes -= smallest_block << index;
        return block;
    }
    return ::operator new(smallest_block << index);
}

void Loop::deallocate(void* memory, std::size_t size) noexcept
{
    const std::size_t index = class_of(size, smallest_block);
    if (!recycle || index >= block_classes || free_[index].bytes >= cached_limit) {
        ::operator delete(memory);
        return;
    }
    FreeList& list = free_[index];
    list.first = new (memory) FreeBlock{list.first};
    list.bytes += smallest_block << index;
}

std::size_t Loop::cached_bytes() const noexcept
{
    std::size_t bytes = 0;
    for (const FreeList& list : free_) {
        bytes += list.bytes;
    }
    return bytes;
}

} // namespace sluice::tcp
