#include "runtime/cuda/playable.hpp"

#include "core/base/error.hpp"

namespace hybridgen::cuda {
namespace {

constexpr int kWidth = 8;  // fp16 weights of one 16-byte load

}  // namespace

void check_playable_by_cuda(const Machine& machine, const ModelShape& shape, KvDtype kv_dtype) {
  for (const Role role : {Role::device, Role::h2d, Role::d2h, Role::host}) {
    const Processor& processor = machine.processor(machine.lane(machine.lane_of(role)).processor);
    const ProcessorKind wanted = role == Role::host ? ProcessorKind::cpu : ProcessorKind::gpu;
    if (processor.kind == wanted) continue;
    throw NotAvailable("executor cuda: platform " + machine.name() + " gives the role " + name_of(role) +
                       " to " + processor.name + ", which is a " + name_of(processor.kind) + " and not a " +
                       name_of(wanted) + "; use --executor host, or a platform with a GPU");
  }
  if (kv_dtype == KvDtype::int8) {
    throw NotAvailable(
        "executor cuda: policy.kv_dtype int8 has no kernels on a card yet; "
        "use fp16 or bf16, or --executor host");
  }
  const bool heads = (shape.head_dim == 64 || shape.head_dim == 128) && shape.group() <= 8;
  const bool widths = shape.hidden % kWidth == 0 && shape.ffn % kWidth == 0;
  if (heads && widths) return;
  throw NotAvailable(
      "executor cuda: the kernels take head_dim 64 or 128, at most 8 query heads per KV head and "
      "widths that are multiples of 8; " +
      shape.name + " has head_dim " + std::to_string(shape.head_dim) + ", " + std::to_string(shape.group()) +
      " query heads per KV head, hidden " + std::to_string(shape.hidden) + ", ffn " +
      std::to_string(shape.ffn));
}

}  // namespace hybridgen::cuda
