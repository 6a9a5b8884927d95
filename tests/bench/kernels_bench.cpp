// Speed of the host's decode kernels against the machine's own roofline, measured in the same process: the
// lower of a plain sequential read and the peak of fp32 multiply-adds. Every kernel's answer is checked
// against fp64 before its speed is quoted. Contexts hold 4,096 tokens, as decode meets them: head after head.
//   kernels_bench [--isa scalar|avx2|avx512|amx] [--only TEXT] [--one-core]
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "runtime/kernels/attend.hpp"
#include "runtime/kernels/gemv.hpp"
#include "runtime/kernels/half.hpp"
#include "runtime/kernels/int8_rows.hpp"
#include "runtime/kernels/isa.hpp"
#include "runtime/kernels/pack.hpp"
#include "runtime/kernels/select.hpp"
#include "tests/bench/bench_rig.hpp"

namespace hybridgen::kernels {
namespace {

constexpr std::int64_t kContext = 4096;  // tokens
constexpr std::int64_t kChosen = kContext / 20;
constexpr std::int64_t kSampleBytes = std::int64_t{8} << 20;
constexpr int kMostHeads = 8;

struct Options {
  std::string only;
  bool two_cores = true;
};

const char* text(KvType type) {
  return type == KvType::int8 ? "int8" : type == KvType::bf16 ? "bf16" : "fp16";
}

// What one thread's kernels write and what they multiply with.
struct Buffers {
  std::vector<float> x = std::vector<float>(1 << 14);
  std::vector<float> scores =
      std::vector<float>(static_cast<std::size_t>(attend_scratch(kMostHeads, kContext)));
  std::vector<float> out = std::vector<float>(1 << 16);
  std::vector<std::byte> packed = std::vector<std::byte>(std::size_t{8} << 20);
  std::vector<std::uint32_t> scratch = std::vector<std::uint32_t>(select_scratch(kContext));
  std::vector<std::int32_t> index = std::vector<std::int32_t>(kContext);
  std::vector<float> chosen = std::vector<float>(kContext);

  Buffers() {
    std::mt19937 random(2);
    std::uniform_real_distribution<float> uniform(-1.0f, 1.0f);
    for (float& value : x) value = uniform(random);
  }
};

class Bench {
 public:
  explicit Bench(Options options) : options_(std::move(options)) {}
  void run();

 private:
  // A bar of 0: none is set.
  void row(const std::string& name, double bar, const Work& work);
  void wrong(const std::string& name, double got, double expected) const;
  // got must be expected within 1e-4 of 1 + |expected|.
  void expect(const std::string& name, double got, double expected) const;

  Work logits_work(KvType type, int head_dim, int group, bool select);
  void logits_row(KvType type, int head_dim, int group, double bar);
  void attend_row(KvType type, int head_dim, int group, double bar);
  void gemv_row(std::int64_t cols, double bar);
  void pack_row(KvType type, int head_dim, double bar);
  void select_row(int head_dim, int group, double bar);
  void check_logits(const std::string& name, KvType type, int head_dim, int group);
  void check_attend(const std::string& name, KvType type, int head_dim, int group);
  void check_select(const std::string& name);

  bool skipped(const std::string& name) const { return name.find(options_.only) == std::string::npos; }
  // Channel d of row n as the kernels must read it; the arena's fp16 values are finite numbers as bf16, too,
  // and any two of them a finite scale.
  double value_at(KvType type, int head_dim, std::int64_t n, int d) const {
    const auto* row = static_cast<const std::byte*>(row_at(rig_.arena(), type, head_dim, n));
    if (type == KvType::int8) {
      const auto* steps = reinterpret_cast<const std::int8_t*>(row);
      return double{scale_of(steps, head_dim)} * steps[d];
    }
    const Half stored = reinterpret_cast<const Half*>(row)[d];
    return type == KvType::bf16 ? to_float(Bfloat{stored.bits}) : to_float(stored);
  }

  Options options_;
  mutable BenchRig rig_;
  Buffers buffers_[2];
};

void Bench::wrong(const std::string& name, double got, double expected) const {
  std::printf("%s: WRONG, %.7g where fp64 gives %.7g\n", name.c_str(), got, expected);
  std::exit(1);
}

void Bench::expect(const std::string& name, double got, double expected) const {
  if (!(std::abs(got - expected) < 1e-4 * (1 + std::abs(expected)))) wrong(name, got, expected);
}

void Bench::row(const std::string& name, double bar, const Work& work) {
  const Speed one = rig_.one_core(work);
  std::printf("%-38s %6.1f %5.1f %6.1f %6.1f %6.1f", name.c_str(), one.rate * 1e-9, one.spread * 100,
              one.read * 1e-9, one.roof * 1e-9, one.share * 100);
  if (bar > 0) {
    std::printf(" %5.0f %-4s", bar * 100, one.share >= bar ? "yes" : "NO");
  } else {
    std::printf(" %5s %-4s", "-", "");
  }
  if (options_.two_cores) {
    const Speed two = rig_.two_cores(work);
    std::printf(" %6.1f %6.1f", two.rate * 1e-9, two.share * 100);
  }
  std::printf(" %5d\n", one.samples);
  std::fflush(stdout);
}

Work Bench::logits_work(KvType type, int head_dim, int group, bool select) {
  const std::int64_t context_bytes = kContext * row_bytes(type, head_dim);
  const std::int64_t contexts = kSampleBytes / context_bytes;
  Work work{contexts * context_bytes, contexts * kContext * head_dim * group, {}, 0};
  work.call = [=, this](const std::byte* data, int thread) {
    Buffers& b = buffers_[thread];
    const std::int64_t stride = kContext + kScorePad;
    for (const std::byte* end = data + contexts * context_bytes; data < end; data += context_bytes) {
      logits(type, b.x.data(), group, head_dim, data, kContext, 0.125f, b.scores.data(), stride);
      for (int g = 0; select && g < group; ++g) {
        select_top_k(b.scores.data() + g * stride, kContext, kChosen, b.scratch.data(), b.index.data(),
                     b.chosen.data());
      }
    }
  };
  return work;
}

void Bench::check_logits(const std::string& name, KvType type, int head_dim, int group) {
  const Buffers& b = buffers_[0];
  logits_work(type, head_dim, group, false).call(rig_.arena(), 0);
  const std::int64_t contexts = kSampleBytes / (kContext * row_bytes(type, head_dim));
  const std::int64_t begin = (contexts - 1) * kContext;  // of the last
  for (int g = 0; g < group; ++g) {
    for (std::int64_t n = 0; n < kContext; ++n) {
      double sum = 0;
      for (int d = 0; d < head_dim; ++d) {
        sum += b.x[static_cast<std::size_t>(g * head_dim + d)] * value_at(type, head_dim, begin + n, d);
      }
      expect(name, b.scores[static_cast<std::size_t>(g * (kContext + kScorePad) + n)], sum * 0.125);
    }
  }
}

void Bench::logits_row(KvType type, int head_dim, int group, double bar) {
  const std::string name = std::string("logits ") + text(type) + ", dim " + std::to_string(head_dim) +
                           ", G " + std::to_string(group);
  if (skipped(name)) return;
  check_logits(name, type, head_dim, group);
  row(name, bar, logits_work(type, head_dim, group, false));
}

void Bench::check_attend(const std::string& name, KvType type, int head_dim, int group) {
  const Buffers& b = buffers_[0];
  for (int g = 0; g < group; ++g) {
    std::vector<double> weight, out(static_cast<std::size_t>(head_dim));
    double sum = 0;
    for (std::int64_t n = 0; n < kContext; ++n) {
      double logit = 0;
      for (int d = 0; d < head_dim; ++d) {
        logit += b.x[static_cast<std::size_t>(g * head_dim + d)] * value_at(type, head_dim, n, d);
      }
      weight.push_back(std::exp(logit * 0.125));
      sum += weight.back();
      for (int d = 0; d < head_dim; ++d) {
        out[static_cast<std::size_t>(d)] += weight.back() * value_at(type, head_dim, kContext + n, d);
      }
    }
    for (int d = 0; d < head_dim; ++d) {
      expect(name, b.out[static_cast<std::size_t>(g * head_dim + d)], out[static_cast<std::size_t>(d)] / sum);
    }
  }
}

void Bench::attend_row(KvType type, int head_dim, int group, double bar) {
  const std::string name = std::string("attend ") + text(type) + ", dim " + std::to_string(head_dim) +
                           ", G " + std::to_string(group);
  if (skipped(name)) return;
  const std::int64_t context_bytes = 2 * kContext * row_bytes(type, head_dim);
  const std::int64_t contexts = kSampleBytes / context_bytes;
  const auto call = [=, this](const std::byte* data, int thread, std::int64_t bytes) {
    Buffers& b = buffers_[thread];
    for (const std::byte* end = data + bytes; data < end; data += context_bytes) {
      const KvSpan span{data, data + context_bytes / 2, kContext};
      attend(type, b.x.data(), group, head_dim, &span, 1, 0.125f, b.scores.data(), b.out.data(), nullptr);
    }
  };
  call(rig_.arena(), 0, context_bytes);
  check_attend(name, type, head_dim, group);
  const std::int64_t bytes = contexts * context_bytes;
  row(name, bar,
      {bytes, 2 * contexts * kContext * head_dim * group,
       [&](const std::byte* data, int thread) { call(data, thread, bytes); }, 0});
}

void Bench::gemv_row(std::int64_t cols, double bar) {
  const std::string name = "gemv fp16, " + std::to_string(cols) + " columns";
  if (skipped(name)) return;
  const std::int64_t rows = kSampleBytes / (2 * cols) / 128 * 128;
  const auto call = [=, this](const std::byte* data, int thread) {
    Buffers& b = buffers_[thread];
    gemv_f16(reinterpret_cast<const Half*>(data), b.x.data(), b.out.data(), 0, rows, cols);
  };
  call(rig_.arena(), 0);
  for (std::int64_t r = 0; r < rows; ++r) {
    double sum = 0;
    for (std::int64_t c = 0; c < cols; ++c) {
      sum += value_at(KvType::f16, static_cast<int>(cols), r, static_cast<int>(c)) *
             buffers_[0].x[static_cast<std::size_t>(c)];
    }
    expect(name, buffers_[0].out[static_cast<std::size_t>(r)], sum);
  }
  row(name, bar, {rows * cols * 2, rows * cols, call, 0});
}

// 5 % of the rows of each context, ascending; bytes are those of the chosen rows.
void Bench::pack_row(KvType type, int head_dim, double bar) {
  const std::int64_t row_bytes = kernels::row_bytes(type, head_dim);
  const std::string name = "gather 5 % of rows of " + std::to_string(row_bytes) + " B";
  if (skipped(name)) return;
  const std::int64_t contexts = 32;
  std::mt19937 random(3);
  std::vector<std::int32_t> index;
  for (std::int64_t c = 0; c < contexts; ++c) {
    for (std::int64_t i = 0; i < kChosen; ++i) {
      index.push_back(static_cast<std::int32_t>(i * 20 + static_cast<std::int64_t>(random() % 20)));
    }
  }
  const auto call = [&](const std::byte* data, int thread) {
    for (std::int64_t c = 0; c < contexts; ++c) {
      const RowSpan span{data + c * kContext * row_bytes, kContext};
      pack_rows(type, head_dim, &span, 1, index.data() + c * kChosen, kChosen,
                buffers_[thread].packed.data() + c * kChosen * row_bytes);
    }
  };
  call(rig_.arena(), 0);
  for (std::size_t j = 0; j < index.size(); ++j) {
    const std::int64_t at = static_cast<std::int64_t>(j) / kChosen * kContext + index[j];
    if (std::memcmp(buffers_[0].packed.data() + static_cast<std::int64_t>(j) * row_bytes,
                    rig_.arena() + at * row_bytes, static_cast<std::size_t>(row_bytes)) != 0) {
      wrong(name, static_cast<double>(j), static_cast<double>(at));
    }
  }
  row(name, bar, {contexts * kChosen * row_bytes / 256 * 256, 0, call, contexts * kContext * row_bytes});
}

// The scores that the last logits left, against a full sort.
void Bench::check_select(const std::string& name) {
  const Buffers& b = buffers_[0];
  std::vector<float> sorted(b.scores.begin(), b.scores.begin() + kContext);
  std::sort(sorted.begin(), sorted.end(), std::greater<>());
  std::vector<std::int32_t> index(kContext);
  std::vector<float> chosen(kContext);
  std::vector<std::uint32_t> scratch(b.scratch.size());
  const std::int64_t count =
      select_top_k(b.scores.data(), kContext, kChosen, scratch.data(), index.data(), chosen.data());
  if (count != kChosen) wrong(name, static_cast<double>(count), static_cast<double>(kChosen));
  chosen.resize(static_cast<std::size_t>(count));
  std::sort(chosen.begin(), chosen.end(), std::greater<>());
  for (std::size_t i = 0; i < chosen.size(); ++i) {
    if (chosen[i] != sorted[i]) wrong(name, chosen[i], sorted[i]);
  }
}

void Bench::select_row(int head_dim, int group, double bar) {
  const std::string name =
      "logits + top 5 %, dim " + std::to_string(head_dim) + ", G " + std::to_string(group);
  if (skipped(name)) return;
  const Work alone = logits_work(KvType::f16, head_dim, group, false),
             both = logits_work(KvType::f16, head_dim, group, true);
  both.call(rig_.arena(), 0);
  check_select(name);
  double spread = 0;
  const double ratio = rig_.ratio(both, alone, spread);
  std::printf("%-38s %6.3fx the time of the logits alone, spread %.1f %%", name.c_str(), ratio, spread * 100);
  if (bar > 0) std::printf("; at most %.2fx: %s", bar, ratio <= bar ? "yes" : "NO");
  std::printf("\n");
  std::fflush(stdout);
}

void Bench::run() {
  std::printf("%-38s %6s %5s %6s %6s %6s %5s %-4s", "one core", "GB/s", "+-%", "read", "roof", "share", "bar",
              "");
  if (options_.two_cores) std::printf(" %6s %6s", "2 core", "share");
  std::printf(" %5s\n", "n");
  for (const std::int64_t cols : {576, 1024, 1536}) gemv_row(cols, 0.93);
  struct Bar {
    int group;
    double logits128, logits64, attend;
  };
  const Bar bars[] = {{1, .95, .94, .93}, {2, 0, 0, 0}, {3, 0, 0, 0}, {4, .88, .80, .80},
                      {5, 0, 0, 0},       {6, 0, 0, 0}, {7, 0, 0, 0}, {8, .90, .85, .80}};
  for (const Bar& bar : bars) logits_row(KvType::f16, 128, bar.group, bar.logits128);
  for (const Bar& bar : bars) logits_row(KvType::f16, 64, bar.group, bar.logits64);
  for (const int head_dim : {128, 64}) {
    for (const int group : {1, 4, 8}) logits_row(KvType::bf16, head_dim, group, 0);
    for (const int group : {1, 4, 8}) logits_row(KvType::int8, head_dim, group, 0);
  }
  for (const int head_dim : {128, 64}) {
    for (const Bar& bar : bars) attend_row(KvType::f16, head_dim, bar.group, bar.attend);
    for (const int group : {1, 4, 8}) attend_row(KvType::int8, head_dim, group, 0);
  }
  pack_row(KvType::f16, 128, 0.28);
  pack_row(KvType::f16, 64, 0.40);
  pack_row(KvType::f16, 32, 0);
  pack_row(KvType::int8, 128, 0);
  pack_row(KvType::int8, 64, 0);
  for (const int head_dim : {128, 64}) {
    select_row(head_dim, 1, 1.10);
    select_row(head_dim, 4, 1.20);
    select_row(head_dim, 8, 1.20);
  }
  std::printf("multiply-adds of one core: %.1f G/s\n", rig_.fma_rate() * 1e-9);
}

std::optional<Isa> isa_of(const std::string& name) {
  for (const Isa isa : {Isa::scalar, Isa::avx2, Isa::avx512, Isa::amx}) {
    if (name == name_of(isa)) return isa;
  }
  return std::nullopt;
}

}  // namespace
}  // namespace hybridgen::kernels

int main(int argc, char** argv) {
  using namespace hybridgen::kernels;
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i], value = i + 1 < argc ? argv[i + 1] : "";
    if (word == "--one-core") {
      options.two_cores = false;
    } else if (word == "--only") {
      options.only = value, ++i;
    } else if (const auto isa = isa_of(value); word == "--isa" && isa) {
      if (!supports(*isa)) return std::printf("this machine has no %s\n", value.c_str()), 4;
      force_isa(isa), ++i;
    } else {
      return std::printf("kernels_bench [--isa scalar|avx2|avx512|amx] [--only TEXT] [--one-core]\n"), 2;
    }
  }
  std::printf("instruction set: %s\n", name_of(active_isa()));
  Bench(options).run();
}
