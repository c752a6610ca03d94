#include "tcp/ranges.hpp"

#include <algorithm>

namespace sluice::tcp {

std::uint32_t RangeSet::add(SequenceRange range, bool& refused) noexcept
{
    refused = false;
    std::size_t first = 0;
    while (first < size_ && ranges_[first].end < range.begin) {
        ++first;
    }
    std::size_t last = first; // [first, last) touch the new range.
    std::uint32_t joined = 0;
    while (last < size_ && ranges_[last].begin <= range.end) {
        joined += ranges_[last].size();
        ++last;
    }
    if (first == last) {
        if (size_ == capacity) {
            refused = true;
            return 0;
        }
        std::copy_backward(ranges_.begin() + first, ranges_.begin() + size_, ranges_.begin() + size_ + 1);
        std::copy_backward(changed_.begin() + first, changed_.begin() + size_, changed_.begin() + size_ + 1);
        ++size_;
    } else {
        range.begin = earlier(range.begin, ranges_[first].begin);
        range.end = later(range.end, ranges_[last - 1].end);
        std::copy(ranges_.begin() + last, ranges_.begin() + size_, ranges_.begin() + first + 1);
        std::copy(changed_.begin() + last, changed_.begin() + size_, changed_.begin() + first + 1);
        size_ = static_cast<std::uint16_t>(size_ - (last - first) + 1);
    }
    ranges_[first] = range;
    changed_[first] = ++clock_;
    const std::uint32_t added = range.size() - joined;
    bytes_ += added;
    return added;
}

void RangeSet::drop_before(Sequence edge) noexcept
{
    std::size_t gone = 0;
    while (gone < size_ && ranges_[gone].end <= edge) {
        bytes_ -= ranges_[gone].size();
        ++gone;
    }
    std::copy(ranges_.begin() + gone, ranges_.begin() + size_, ranges_.begin());
    std::copy(changed_.begin() + gone, changed_.begin() + size_, changed_.begin());
    size_ = static_cast<std::uint16_t>(size_ - gone);
    if (size_ != 0 && ranges_[0].begin < edge) {
        bytes_ -= static_cast<std::uint32_t>(edge - ranges_[0].begin);
        ranges_[0].begin = edge;
    }
}

bool RangeSet::contains(SequenceRange range) const noexcept
{
    return std::any_of(ranges_.begin(), ranges_.begin() + size_,
                       [&](const SequenceRange& one) { return one.begin <= range.begin && range.end <= one.end; });
}

std::size_t RangeSet::recent(std::span<SequenceRange> out) const noexcept
{
    std::array<std::uint32_t, 4> stamps{};
    const std::size_t wanted = std::min(out.size(), stamps.size());
    std::size_t count = 0;
    for (std::size_t index = 0; index < size_; ++index) {
        std::size_t place = count;
        while (place > 0 && stamps[place - 1] < changed_[index]) {
            --place;
        }
        if (place == wanted) {
            continue;
        }
        count = std::min(count + 1, wanted);
        for (std::size_t move = count - 1; move > place; --move) {
            out[move] = out[move - 1];
            stamps[move] = stamps[move - 1];
        }
        out[place] = ranges_[index];
        stamps[place] = changed_[index];
    }
    return count;
}

} // namespace sluice::tcp
