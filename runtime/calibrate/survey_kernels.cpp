// Probes of kernels by shape, on one core and fresh memory of its node.
#include "runtime/calibrate/survey_node.hpp"
#include "runtime/kernels/attend.hpp"
#include "runtime/kernels/gemm.hpp"
#include "runtime/kernels/gemv.hpp"
#include "runtime/kernels/pack.hpp"

namespace hybridgen {
namespace {

using kernels::KvType;

constexpr Bytes kCallBytes =
    8LL << 20;                    // read by one call: longer than any start-up, shorter than a time slice
constexpr int kCalls = 4;         // of a sample
constexpr int kGatherShare = 20;  // one row in so many

std::vector<float> numbers(std::int64_t count) {
  std::vector<float> values(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i % 17) / 16.0F - 0.5F;
  return values;
}

std::string shape(const char* what, int dim, int group) {
  return std::string(what) + " fp16, head dim " + std::to_string(dim) + ", G " + std::to_string(group);
}

// One call over kCallBytes of fresh memory, and the bytes of it that count.
struct Work {
  Bytes counted;
  std::function<void(const std::byte*)> call;
};

Work gemv(std::int64_t cols) {
  const std::int64_t rows = kCallBytes / (2 * cols);
  return {rows * cols * 2, [rows, cols, x = numbers(cols), y = numbers(rows)](const std::byte* data) mutable {
            kernels::gemv_f16(reinterpret_cast<const kernels::Half*>(data), x.data(), y.data(), 0, rows,
                              cols);
          }};
}

Work logits(int dim, int group) {
  const std::int64_t rows = kCallBytes / (2 * dim);
  const std::int64_t stride = rows + kernels::kScorePad;
  return {rows * dim * 2,
          [=, q = numbers(group * dim), scores = numbers(group * stride)](const std::byte* k) mutable {
            kernels::logits(KvType::f16, q.data(), group, dim, k, rows, 0.125F, scores.data(), stride);
          }};
}

Work attention(int dim, int group) {
  const std::int64_t rows = kCallBytes / (4 * dim);  // of K; as many of V
  return {4 * rows * dim,
          [=, q = numbers(group * dim), out = numbers(group * dim),
           scratch = numbers(kernels::attend_scratch(group, rows))](const std::byte* data) mutable {
            const kernels::KvSpan span{data, data + kCallBytes / 2, rows};
            kernels::attend(KvType::f16, q.data(), group, dim, &span, 1, 0.125F, scratch.data(), out.data(),
                            nullptr);
          }};
}

// One row in each run of so many, at a place that varies.
Work gather(int dim) {
  const std::int64_t rows = kCallBytes / (2 * dim);
  std::vector<std::int32_t> chosen;
  for (std::int64_t i = 0; i + kGatherShare <= rows; i += kGatherShare) {
    chosen.push_back(static_cast<std::int32_t>(i + i * 7919 % kGatherShare));
  }
  const auto count = static_cast<std::int64_t>(chosen.size());
  std::vector<std::byte> target(static_cast<std::size_t>(count * 2 * dim));
  return {count * 2 * dim, [=](const std::byte* data) mutable {
            const kernels::RowSpan span{data, rows};
            kernels::pack_rows(KvType::f16, dim, &span, 1, chosen.data(), count, target.data());
          }};
}

struct Product {
  std::int64_t tokens, rows, cols;
  std::string text() const {
    return "matrix product " + std::to_string(tokens) + " x " + std::to_string(rows) + " x " +
           std::to_string(cols);
  }
};

}  // namespace

void Survey::add_kernel_probes(Node& node, int core) {
  const auto kernel = [this, &node, core](const std::string& condition, const Work& work) {
    add("kernel", condition, "rate", "GB/s", [this, &node, core, work] {
      return rate_of(node, core, kCallBytes, kCalls, static_cast<double>(work.counted), work.call) / 1e9;
    });
  };
  for (const std::int64_t cols : {576, 1024, 1536, 4096}) {
    kernel("gemv fp16, " + std::to_string(cols) + " columns", gemv(cols));
  }
  for (const int dim : {64, 128}) {
    for (const int group : {1, 4, 8}) {
      kernel(shape("logits", dim, group), logits(dim, group));
      kernel(shape("attention", dim, group), attention(dim, group));
    }
    kernel("gather of 5 % of rows of " + std::to_string(2 * dim) + " B (bytes gathered)", gather(dim));
  }
  for (const Product& p : {Product{128, 1536, 576}, Product{64, 2048, 1024}}) {
    add("kernel", p.text(), "rate", "GFLOP/s",
        [this, &node, core, p, x = numbers(p.tokens * p.cols), y = numbers(p.tokens * p.rows),
         scratch = numbers(kernels::gemm_scratch(p.cols))]() mutable {
          const double flops = 2.0 * static_cast<double>(p.tokens * p.rows * p.cols);
          const auto multiply = [&](const std::byte* data) {
            kernels::gemm_f16(reinterpret_cast<const kernels::Half*>(data), x.data(), p.cols, p.tokens, 0,
                              p.rows, p.cols, y.data(), p.rows, scratch.data());
          };
          return rate_of(node, core, p.rows * p.cols * 2, 1, flops, multiply) / 1e9;
        });
  }
}

}  // namespace hybridgen
