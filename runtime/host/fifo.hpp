// A queue that takes no memory once it has held as many items as it ever will.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

namespace hybridgen {

template <class T>
class Fifo {
 public:
  bool empty() const { return first_ == items_.size(); }
  void push(T item) {
    if (first_ > 0 && items_.size() == items_.capacity()) {  // make room at the front instead of growing
      items_.erase(items_.begin(), items_.begin() + static_cast<std::ptrdiff_t>(first_));
      first_ = 0;
    }
    items_.push_back(std::move(item));
  }
  // Only where there is one.
  T pop() {
    T item = std::move(items_[first_++]);
    if (empty()) {
      items_.clear();
      first_ = 0;
    }
    return item;
  }

 private:
  std::vector<T> items_;
  std::size_t first_ = 0;
};

}  // namespace hybridgen
