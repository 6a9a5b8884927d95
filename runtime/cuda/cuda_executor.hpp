// The executor of a machine with a GPU: a stream per lane of the roles device, h2d and d2h, the host lane on
// a pinned thread group. One step is on the card at a time; further submitted ones wait here. Records of a
// stream's op: its end is stamped by the card, its start is when the last of its dependencies ended (so that
// a launch gap counts as part of the op); the two clocks are matched at every step, to within some
// microseconds.
#pragma once

#include <memory>

#include "core/machine/machine.hpp"
#include "core/residency/memory_plan.hpp"
#include "runtime/host/host_model.hpp"
#include "runtime/host/tokens.hpp"
#include "runtime/real_executor.hpp"

namespace hybridgen {

namespace cuda {
struct CardWeights;
}

struct CudaOptions {
  // Replay captured graphs for decode steps of a structure that was seen before; else launch kernel by
  // kernel.
  bool graphs = true;
  // Most query tokens of a step; 0: the longest prompt. A bench that prefills nothing saves that memory.
  Tokens most_query_tokens = 0;
  // Random K and V in every slot before the first step: a bench that prefills nothing still selects among
  // logits that differ.
  bool random_kv = false;
  // The model's weights where they are on the card already (card_weights.hpp); null: the executor's own.
  std::shared_ptr<const cuda::CardWeights> weights;
};

// Takes all memory, copies the weights onto the card and starts the host lane's threads. machine must outlive
// the executor. NotAvailable with one sentence: no driver, no GPU, a platform whose device is not a GPU, a
// model shape that no kernel takes, or memory that is refused; always where the program was built without
// CUDA.
std::unique_ptr<RealExecutor> make_cuda_executor(const Machine& machine,
                                                 std::shared_ptr<const HostModel> model,
                                                 const MemoryPlan& plan, TokenFeed feed, Tokens new_tokens,
                                                 CudaOptions options = {});

}  // namespace hybridgen
