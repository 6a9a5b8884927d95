// In place of the parts that need CUDA where no nvcc was found: the program is the same and says so when
// asked.
#include "core/base/error.hpp"
#include "runtime/cuda/bench/cuda_bench.hpp"
#include "runtime/cuda/card_weights.hpp"
#include "runtime/cuda/cuda_available.hpp"
#include "runtime/cuda/cuda_executor.hpp"

namespace hybridgen {

CudaStatus cuda_available() {
  return {false,
          "this program was built without CUDA; `./dev setup --cuda && ./dev build cuda` builds it in"};
}

namespace cuda {

std::shared_ptr<const CardWeights> weights_on_card(const HostModel&) {
  throw NotAvailable("executor cuda: " + cuda_available().text);
}
// Never measured: cuda_available() was asked before.
Card bench_card() {
  throw NotAvailable("bench-machine: " + cuda_available().text);
}
std::map<std::string, std::string> kernel_sources() {
  return {};
}
std::vector<Measurement> measure_correctness(Tokens) {
  throw NotAvailable("bench-machine: " + cuda_available().text);
}
std::vector<Measurement> measure_kernel_speed() {
  return measure_correctness(0);
}
std::vector<Measurement> measure_copies() {
  return measure_correctness(0);
}
std::vector<Measurement> measure_launches() {
  return measure_correctness(0);
}
std::vector<Measurement> measure_mapped_gathers() {
  return measure_correctness(0);
}
std::vector<Measurement> measure_energy() {
  return measure_correctness(0);
}

}  // namespace cuda

std::unique_ptr<RealExecutor> make_cuda_executor(const Machine&, std::shared_ptr<const HostModel>,
                                                 const MemoryPlan&, TokenFeed, Tokens, CudaOptions) {
  throw NotAvailable("executor cuda: " + cuda_available().text);
}

}  // namespace hybridgen
