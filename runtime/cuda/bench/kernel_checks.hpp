// Every kernel against fp64, and against the host's kernel of the same meaning, over random shapes: on a card
// as a stage of bench-machine, and on the CPU over the emulated sources (tests/cuda_emulation).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/machine/measurement.hpp"
#include "runtime/kernels/kv_type.hpp"

namespace hybridgen::cuda {

// What a check draws its sizes from: rows, slots and tokens up to most_tokens, in an order given by the seed.
struct CheckShape {
  int group = 1;  // query heads per KV head
  int head_dim = 64;
  kernels::KvType kv_type = kernels::KvType::f16;
  std::int64_t most_tokens = 400;
  unsigned seed = 1;
};

// The largest |got - wanted| / (1 + |wanted|); of copies the number of elements that differ.
struct CheckError {
  double fp64 = 0;
  std::optional<double> host;  // against the host's kernel; none: it has no such kernel
};

struct KernelCheck {
  const char* kernel;  // its file's name without .cu
  const char* what;    // which behaviour, of several
  double bound;        // of both errors
  bool by_heads;       // false: the head shape does not enter, one shape is enough
  CheckError (*run)(const CheckShape& shape);
  std::optional<kernels::KvType> only = std::nullopt;  // the one type of KV that the kernel takes
  std::optional<kernels::KvType> but = std::nullopt;   // one that it does not

  bool takes(const CheckShape& shape) const {
    return (!only || *only == shape.kv_type) && (!but || *but != shape.kv_type);
  }
};

// All but flags: see flag_checks.hpp.
const std::vector<KernelCheck>& kernel_checks();
std::vector<KernelCheck> attention_checks();
std::vector<KernelCheck> layer_checks();
std::vector<KernelCheck> row_checks();
std::vector<KernelCheck> kept_checks();
std::vector<KernelCheck> choice_checks();
std::vector<KernelCheck> partial_checks();

// G of 1, 3, 4, 5, 7, 8, head dim 64 and 128, fp16, fp32 and bf16 KV.
std::vector<CheckShape> check_shapes(std::int64_t most_tokens, unsigned seed);
// "G=4 dim=128 f16"
std::string text_of(const CheckShape& shape);

// Each check over each shape: two figures, "error" and "difference to the host's kernel". threads: that run
// checks at the same time; the emulated card takes one.
std::vector<Measurement> run_checks(const std::vector<KernelCheck>& checks,
                                    const std::vector<CheckShape>& shapes, int threads);

}  // namespace hybridgen::cuda
