// Speed of the host kernels on one thread, each against a plain streaming read of as many bytes in the same
// process, alternating, medians. Every kernel's answer is checked against the scalar variant before its speed
// is quoted.
//   kernels_bench             the kernels
//   kernels_bench loop        the plain decode loop and prefill on dummy weights of SmolLM2-135M's shape
#include <immintrin.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "runtime/kernels/attend.hpp"
#include "runtime/kernels/convert.hpp"
#include "runtime/kernels/gemm.hpp"
#include "runtime/kernels/gemv.hpp"
#include "runtime/kernels/isa.hpp"
#include "runtime/kernels/pack.hpp"
#include "runtime/kernels/select.hpp"
#include "tests/runtime/llama_loop.hpp"

namespace hybridgen::kernels {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::int64_t kArena = std::int64_t{256} << 20;  // far beyond the caches

double seconds_of(const std::function<void()>& work) {
  const auto start = Clock::now();
  work();
  return std::chrono::duration<double>(Clock::now() - start).count();
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

float sink = 0.0f;  // keeps the reads alive

void read_plain_scalar(const std::byte* data, std::int64_t bytes) {
  std::uint64_t sum = 0;
  for (std::int64_t i = 0; i < bytes; i += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, data + i, 8);
    sum += word;
  }
  sink += static_cast<float>(sum & 1);
}

// The machine's read speed: 32-byte loads in order, nothing else.
__attribute__((target("avx2"))) void read_plain_avx2(const std::byte* data, std::int64_t bytes) {
  __m256i s0 = _mm256_setzero_si256(), s1 = s0, s2 = s0, s3 = s0;
  for (std::int64_t i = 0; i < bytes; i += 128) {
    const auto* p = reinterpret_cast<const __m256i*>(data + i);
    s0 = _mm256_xor_si256(s0, _mm256_loadu_si256(p));
    s1 = _mm256_xor_si256(s1, _mm256_loadu_si256(p + 1));
    s2 = _mm256_xor_si256(s2, _mm256_loadu_si256(p + 2));
    s3 = _mm256_xor_si256(s3, _mm256_loadu_si256(p + 3));
  }
  const __m256i all = _mm256_xor_si256(_mm256_xor_si256(s0, s1), _mm256_xor_si256(s2, s3));
  sink += static_cast<float>(_mm256_extract_epi32(all, 0) & 1);
}

void read_plain(const std::byte* data, std::int64_t bytes) {
  bytes = bytes / 128 * 128;
  if (supports(Isa::avx2)) return read_plain_avx2(data, bytes);
  read_plain_scalar(data, bytes);
}

struct Data {
  AlignedMemory memory;
  std::byte* arena = memory.allocator()(kArena);
  std::vector<float> x;       // operands
  std::vector<float> result;  // what the kernel under test writes

  Data() : x(1 << 22), result(1 << 22) {
    std::mt19937 random(1);
    std::uniform_real_distribution<float> uniform(-1.0f, 1.0f);
    for (float& value : x) value = uniform(random);
    for (std::int64_t i = 0; i < kArena / 2; i += static_cast<std::int64_t>(x.size())) {
      convert(x.data(), halves() + i, static_cast<std::int64_t>(x.size()));
    }
  }
  Half* halves() { return reinterpret_cast<Half*>(arena); }
};

struct Line {
  std::string name;
  std::int64_t bytes;    // that the kernel has to read from memory
  std::int64_t outputs;  // floats of result to compare
  std::function<void(Data&)> work;
};

// The variant of the machine must give what the scalar one gives.
bool agrees(const Line& line, Data& data, double& worst) {
  std::fill_n(data.result.begin(), line.outputs, 0.0f);
  line.work(data);
  const std::vector<float> fast(data.result.begin(), data.result.begin() + line.outputs);
  force_isa(Isa::scalar);
  std::fill_n(data.result.begin(), line.outputs, 0.0f);
  line.work(data);
  force_isa(std::nullopt);
  worst = 0;
  for (std::size_t i = 0; i < fast.size(); ++i) {
    const double size = 1.0 + std::abs(static_cast<double>(data.result[i]));
    worst = std::max(worst, std::abs(static_cast<double>(fast[i]) - data.result[i]) / size);
  }
  return worst < 1e-4;
}

void measure(const Line& line, Data& data) {
  double worst = 0;
  if (!agrees(line, data, worst)) {
    std::printf("%-44s WRONG: differs from scalar by %.2g\n", line.name.c_str(), worst);
    std::exit(1);
  }
  std::vector<double> kernel, reading;
  for (int i = 0; i < 9; ++i) {
    kernel.push_back(seconds_of([&] { line.work(data); }));
    reading.push_back(seconds_of([&] { read_plain(data.arena, line.bytes); }));
  }
  const double size = static_cast<double>(line.bytes) * 1e-9;
  std::printf("%-44s %7.1f GB/s  %5.2f of the plain read's %.1f GB/s\n", line.name.c_str(),
              size / median(kernel), median(reading) / median(kernel), size / median(reading));
}

Line gemv_line(std::int64_t cols) {
  const std::int64_t rows = (std::int64_t{128} << 20) / (2 * cols);
  return {"gemv_f16, " + std::to_string(cols) + " columns", rows * cols * 2, rows,
          [=](Data& d) { gemv_f16(d.halves(), d.x.data(), d.result.data(), 0, rows, cols); }};
}

Line logits_line(int head_dim, int group) {
  const std::int64_t rows = (std::int64_t{64} << 20) / (2 * head_dim);
  return {"logits, head dim " + std::to_string(head_dim) + ", G " + std::to_string(group),
          rows * head_dim * 2, group * rows, [=](Data& d) {
            logits(KvType::f16, d.x.data(), group, head_dim, d.arena, rows, 0.1f, d.result.data(), rows);
          }};
}

Line weighted_line(int head_dim, int group) {
  const std::int64_t rows = (std::int64_t{64} << 20) / (2 * head_dim);
  return {"weighted_v, head dim " + std::to_string(head_dim) + ", G " + std::to_string(group),
          rows * head_dim * 2, group * head_dim, [=](Data& d) {
            std::fill_n(d.result.begin(), group * head_dim, 0.0f);
            weighted_v(KvType::f16, d.x.data(), rows / 8, group, head_dim, d.arena, rows, d.result.data());
            for (int i = 0; i < group * head_dim; ++i) d.result[static_cast<std::size_t>(i)] *= 1e-3f;
          }};
}

// Many contexts of 4,096 tokens, as decode meets them: layer after layer.
Line attend_line(int head_dim, int group) {
  const std::int64_t rows = 4096, segment = rows * head_dim,
                     contexts = (std::int64_t{128} << 20) / (4 * segment);
  return {"attend, 4096 rows, head dim " + std::to_string(head_dim) + ", G " + std::to_string(group),
          contexts * segment * 4, group * head_dim, [=](Data& d) {
            float* scratch = d.result.data() + group * head_dim;
            for (std::int64_t i = 0; i < contexts; ++i) {
              const KvSpan span{d.halves() + 2 * i * segment, d.halves() + (2 * i + 1) * segment, rows};
              attend(KvType::f16, d.x.data(), group, head_dim, &span, 1, 0.125f, scratch, d.result.data(),
                     nullptr);
            }
          }};
}

// pack_rows has one variant only: its answer is held against plain copies.
void measure_pack(Data& data, int head_dim) {
  const std::int64_t rows = (std::int64_t{128} << 20) / (2 * head_dim), count = rows / 20;
  const auto row_bytes = static_cast<std::size_t>(2 * head_dim);
  std::mt19937 random(3);
  std::vector<std::int32_t> index;
  for (std::int64_t i = 0; i < count; ++i) {
    index.push_back(static_cast<std::int32_t>(i * 20 + static_cast<std::int64_t>(random() % 20)));
  }
  const Line line{"pack_rows, 5 % of rows, head dim " + std::to_string(head_dim), count * head_dim * 2, 0,
                  [&](Data& d) {
                    const RowSpan span{d.arena, rows};
                    pack_rows(KvType::f16, head_dim, &span, 1, index.data(), count, d.result.data());
                  }};
  line.work(data);
  const auto* packed = reinterpret_cast<const std::byte*>(data.result.data());
  for (std::size_t j = 0; j < index.size(); ++j) {
    const std::byte* row = data.arena + static_cast<std::size_t>(index[j]) * row_bytes;
    if (std::memcmp(packed + j * row_bytes, row, row_bytes) == 0) continue;
    std::printf("pack_rows: WRONG row %zu\n", j);
    std::exit(1);
  }
  measure(line, data);
}

// Selection beside the logits it follows: one head's scores at a time.
void measure_select(Data& data, std::int64_t rows, int head_dim) {
  std::vector<float> scores(static_cast<std::size_t>(rows));
  std::vector<std::uint32_t> scratch(static_cast<std::size_t>(select_scratch(rows)));
  std::vector<std::int32_t> index(scores.size());
  std::vector<float> chosen(scores.size());
  std::vector<double> scan, select, threshold;
  const std::int64_t k = rows / 20;
  for (int i = 0; i < 201; ++i) {
    const Half* keys = data.halves() + i % 64 * rows * head_dim % (kArena / 4);
    const auto scan_work = [&] {
      logits(KvType::f16, data.x.data(), 1, head_dim, keys, rows, 0.5f, scores.data(), rows);
    };
    const auto top_k = [&] {
      select_top_k(scores.data(), rows, k, scratch.data(), index.data(), chosen.data());
    };
    const auto over = [&] {
      select_threshold(scores.data(), rows, 1.0f, k, scratch.data(), index.data(), chosen.data());
    };
    scan.push_back(seconds_of(scan_work));
    select.push_back(seconds_of(top_k));
    threshold.push_back(seconds_of(over));
  }
  std::printf("%-44s %7.1f us  %5.2f of the logits' %.1f us; select_threshold %.1f us\n",
              ("select_top_k, 5 % of " + std::to_string(rows)).c_str(), median(select) * 1e6,
              median(select) / median(scan), median(scan) * 1e6, median(threshold) * 1e6);
}

void measure_gemm(Data& data) {
  const std::int64_t tokens = 512, rows = 3072, cols = 576;
  std::vector<float> scratch(static_cast<std::size_t>(gemm_scratch(cols)));
  std::vector<double> times;
  for (int i = 0; i < 7; ++i) {
    times.push_back(seconds_of([&] {
      gemm_f16(data.halves(), data.x.data(), cols, tokens, 0, rows, cols, data.result.data(), rows,
               scratch.data());
    }));
  }
  const double flops = 2.0 * static_cast<double>(tokens * rows * cols);
  std::printf("%-44s %7.1f GFLOP/s\n", "gemm_f16, 512 x 3072 x 576", flops / median(times) * 1e-9);
}

void run_kernels() {
  Data data;
  for (const std::int64_t cols : {576, 1024, 1536}) measure(gemv_line(cols), data);
  for (const int head_dim : {64, 128}) {
    for (const int group : {1, 3, 4, 8}) {
      measure(logits_line(head_dim, group), data);
      measure(weighted_line(head_dim, group), data);
      measure(attend_line(head_dim, group), data);
    }
  }
  measure_pack(data, 64);
  measure_pack(data, 128);
  for (const std::int64_t rows : {4096, 32768}) measure_select(data, rows, 64);
  measure_gemm(data);
}

void run_loop() {
  const ModelShape shape{"smollm2-135m", 30, 576, 9, 3, 64, 1536, 49152, 8192, 1e5, 1e-5, true};
  AlignedMemory memory;
  const ModelWeights weights = dummy_weights(shape, 1, memory.allocator());
  for (const std::int64_t context : {512, 2048, 4096, 7500}) {
    LlamaLoop loop(weights, KvType::f16, context + 1);
    std::vector<double> times;
    for (int i = 0; i < 31; ++i) {
      loop.assume_length(context);
      times.push_back(seconds_of([&] { loop.decode(i); }));
    }
    std::printf("decode at context %5lld: %6.2f ms/token\n", static_cast<long long>(context),
                median(times) * 1e3);
  }
  std::vector<std::int32_t> ids;
  for (std::int32_t i = 0; i < 2048; ++i) ids.push_back(i * 37 % shape.vocab);
  std::vector<double> times;
  for (int i = 0; i < 3; ++i) {
    LlamaLoop loop(weights, KvType::f16, 2048);
    times.push_back(seconds_of([&] { loop.prefill(ids); }));
  }
  std::printf("prefill of 2048 tokens: %.2f s\n", median(times));
}

}  // namespace
}  // namespace hybridgen::kernels

int main(int argc, char** argv) {
  std::printf("instruction set: %s, one thread\n",
              hybridgen::kernels::name_of(hybridgen::kernels::active_isa()));
  if (argc > 1 && std::string(argv[1]) == "loop") {
    hybridgen::kernels::run_loop();
  } else {
    hybridgen::kernels::run_kernels();
  }
}
