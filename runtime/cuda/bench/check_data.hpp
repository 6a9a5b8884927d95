// Random inputs of kernels in memory that both the card and the CPU reach, and the largest error of an
// output.
#pragma once

#include <algorithm>
#include <cmath>
#include <memory>
#include <random>

#include "runtime/cuda/kernels/launch.cuh"
#include "runtime/kernels/half.hpp"

namespace hybridgen::cuda {

// Managed memory, zeroed. The CPU may touch it only behind finish().
template <class T>
class Array {
 public:
  explicit Array(std::int64_t count) : data_(take(count), give_back) { std::fill_n(data_.get(), count, T{}); }
  T* get() const { return data_.get(); }
  T& operator[](std::int64_t i) const { return data_.get()[i]; }

 private:
  static T* take(std::int64_t count) {
    void* address = nullptr;
    const auto bytes = static_cast<std::size_t>(std::max<std::int64_t>(count, 1)) * sizeof(T);
    check(cudaMallocManaged(&address, bytes, cudaMemAttachGlobal), "cudaMallocManaged");
    return static_cast<T*>(address);
  }
  static void give_back(T* data) { cudaFree(data); }

  std::unique_ptr<T, void (*)(T*)> data_;
};

// Everything that was launched has ended, and its stores are visible here.
inline void finish() {
  check(cudaDeviceSynchronize(), "a kernel under test");
}

// Rows of any type, read as fp32.
class Rows {
 public:
  Rows(KvType type, std::int64_t count) : type_(type), bytes_(kernels::row_bytes(type, count)) {}
  std::byte* get() const { return bytes_.get(); }
  float at(std::int64_t i) const {
    if (type_ == KvType::f32) return as<float>()[i];
    return type_ == KvType::f16 ? kernels::to_float(as<Half>()[i])
                                : kernels::to_float(as<kernels::Bfloat>()[i]);
  }
  void set(std::int64_t i, float x) const {
    if (type_ == KvType::f32) as<float>()[i] = x;
    if (type_ == KvType::f16) as<Half>()[i] = kernels::to_half(x);
    if (type_ == KvType::bf16) as<kernels::Bfloat>()[i] = kernels::to_bfloat(x);
  }

 private:
  template <class T>
  T* as() const {
    return reinterpret_cast<T*>(bytes_.get());
  }
  KvType type_;
  Array<std::byte> bytes_;
};

class Data {
 public:
  explicit Data(unsigned seed) : random_(seed) {}
  int between(int least, int most) { return std::uniform_int_distribution<int>(least, most)(random_); }
  Array<float> floats(std::int64_t count, float scale = 1) {
    Array<float> array(count);
    for (std::int64_t i = 0; i < count; ++i) array[i] = scale * normal_(random_);
    return array;
  }
  Rows rows(KvType type, std::int64_t count) {
    Rows list(type, count);
    for (std::int64_t i = 0; i < count; ++i) list.set(i, normal_(random_));
    return list;
  }

 private:
  std::mt19937 random_;
  std::normal_distribution<float> normal_;
};

// The largest |got - wanted| / (1 + |wanted|); a NaN is an infinite error. allowed: what `wanted` may be off
// by itself.
class Worst {
 public:
  void add(double got, double wanted, double allowed = 0) {
    const double off = std::abs(got - wanted) - allowed;
    const double error = (off < 0 ? 0 : off) / (1 + std::abs(wanted));
    if (!(error <= value_)) value_ = std::isnan(error) ? HUGE_VAL : error;
  }
  double value() const { return value_; }

 private:
  double value_ = 0;
};

}  // namespace hybridgen::cuda
