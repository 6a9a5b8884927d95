// A short list inside its owner: ops are made by the million in a sweep and must not allocate.
#pragma once

#include <array>
#include <cstddef>

#include "core/base/check.hpp"

namespace hybridgen {

template <class T, std::size_t N>
class InlineVec {
 public:
  void push_back(const T& item) {
    HG_CHECK(size_ < N, "more than " << N << " items");
    items_[size_++] = item;
  }
  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  const T& operator[](std::size_t i) const { return items_[i]; }
  T& operator[](std::size_t i) { return items_[i]; }
  const T* begin() const { return items_.data(); }
  const T* end() const { return items_.data() + size_; }

 private:
  std::array<T, N> items_{};
  std::size_t size_ = 0;
};

}  // namespace hybridgen
