// The hand-worked selections of tests/reference/cases, played by a policy's own steps through the real ops of
// one layer: K, V and the query are put where the projections would have put them.
#pragma once

#include <algorithm>
#include <cmath>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "runtime/host/op_context.hpp"
#include "runtime/host/request_buffers.hpp"
#include "runtime/kernels/convert.hpp"
#include "tests/support/host_world.hpp"
#include "tests/support/source_path.hpp"

namespace hybridgen::testing {

using Rows = std::vector<std::vector<float>>;  // [position][channel]

struct SelectionCase {
  static constexpr int kWidth = 16;  // the kernels' least head_dim: the channels beyond the case's are 0

  nlohmann::json json;
  Tokens prompt = 0;
  Tokens later = 0;
  int layer = 0;
  int channels = 0;
  std::vector<Rows> keys;                              // by KV head
  std::vector<Rows> query;                             // by query head, by step
  std::vector<std::vector<std::vector<Tokens>>> kept;  // by query head, by step: positions

  explicit SelectionCase(const std::string& name) {
    std::ifstream(source_path("tests/reference/cases/" + name + ".json")) >> json;
    prompt = json.at("prompt");
    layer = json.at("layer");
    keys = rows("keys");
    query = rows("query");
    later = static_cast<Tokens>(query[0].size());
    kept = json.at("kept");
    channels = static_cast<int>(json.at("keys")[0][0].size());
  }

  std::vector<Rows> rows(const std::string& key) const {
    std::vector<Rows> all = json.at(key);
    for (Rows& head : all) {
      for (auto& row : head) row.resize(kWidth, 0.0F);
    }
    return all;
  }
  std::int64_t setting(const std::string& key) const { return json.at("settings").at(key); }
  int heads() const { return static_cast<int>(query.size()); }
  int group() const { return heads() / static_cast<int>(keys.size()); }

  ModelShape shape() const {
    ModelShape shape = tiny_shape();
    shape.layers = layer + 1;
    shape.query_heads = heads();
    shape.kv_heads = static_cast<int>(keys.size());
    shape.head_dim = kWidth;
    return shape;
  }

  // Some V that tells rows apart; exact in fp16.
  static float value(int kv_head, Tokens position, int channel) {
    return static_cast<float>((position * 7 + channel * 3 + kv_head) % 23) / 8.0F - 1.0F;
  }

  // Attention of a query head over the rows that the case keeps, in double precision.
  std::vector<double> expected_output(int head, Tokens step) const {
    const auto at = static_cast<std::size_t>(step);
    const int kv = head / group();
    const std::vector<float>& q = query[static_cast<std::size_t>(head)][at];
    std::vector<double> out(kWidth);
    double sum = 0;
    for (const Tokens position : kept[static_cast<std::size_t>(head)][at]) {
      const std::vector<float>& k = keys[static_cast<std::size_t>(kv)][static_cast<std::size_t>(position)];
      double score = 0;
      for (std::size_t d = 0; d < k.size(); ++d)
        score += static_cast<double>(q[d]) * static_cast<double>(k[d]);
      const double weight = std::exp(score / std::sqrt(kWidth));
      sum += weight;
      for (int d = 0; d < kWidth; ++d) out[static_cast<std::size_t>(d)] += weight * value(kv, position, d);
    }
    for (double& each : out) each /= sum;
    return out;
  }
};

// Writes positions [first, first + count) of every KV head where the store keeps them, position p in row p.
inline void store_case_rows(const SelectionCase& of, const RowStore& k, const RowStore& v, Tokens first,
                            Tokens count, kernels::KvType type = kernels::KvType::f16) {
  const Bytes row = kernels::row_bytes(type, SelectionCase::kWidth);
  for (std::size_t head = 0; head < of.keys.size(); ++head) {
    for (Tokens p = first; p < first + count; ++p) {
      const int kv = static_cast<int>(head);
      std::vector<float> values;
      for (int d = 0; d < SelectionCase::kWidth; ++d) values.push_back(SelectionCase::value(kv, p, d));
      kernels::store_rows(type, SelectionCase::kWidth, of.keys[head][static_cast<std::size_t>(p)].data(),
                          k.head(kv, row) + p * row, 1);
      kernels::store_rows(type, SelectionCase::kWidth, values.data(), v.head(kv, row) + p * row, 1);
    }
  }
}

// On a lane's leader, as an op runs.
inline void on_a_lane(const std::function<void(Team&)>& work) {
  std::exception_ptr failure;
  {
    Team team(1, 0, [&](Team& lane) {
      try {
        work(lane);
      } catch (...) {
        failure = std::current_exception();
      }
    });
  }
  if (failure) std::rethrow_exception(failure);
}

}  // namespace hybridgen::testing
