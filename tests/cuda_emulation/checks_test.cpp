// The kernels, emulated on the CPU, by the checks that bench-machine makes of them on a card: each within its
// bound of fp64 and of the host's kernel.
#include <gtest/gtest.h>

#include <algorithm>
#include <ostream>
#include <set>

#include "runtime/cuda/bench/kernel_checks.hpp"

namespace hybridgen::cuda {
namespace {

struct Case {
  KernelCheck check;
  CheckShape shape;
};

std::vector<Case> cases() {
  std::vector<Case> list;
  for (const KernelCheck& check : kernel_checks()) {
    for (const CheckShape& shape : check_shapes(400, 1)) {
      if (!check.takes(shape)) continue;
      list.push_back({check, shape});
      if (!check.by_heads) break;
    }
  }
  return list;
}

void PrintTo(const Case& each, std::ostream* out) {
  *out << each.check.what << ", " << text_of(each.shape);
}

class CudaKernel : public testing::TestWithParam<Case> {};

TEST_P(CudaKernel, staysWithinItsBound) {
  const CheckError error = GetParam().check.run(GetParam().shape);
  EXPECT_LE(error.fp64, GetParam().check.bound);
  EXPECT_LE(error.host.value_or(0), GetParam().check.bound);
}

INSTANTIATE_TEST_SUITE_P(emulated, CudaKernel, testing::ValuesIn(cases()), [](const auto& test_info) {
  std::string name = std::string(test_info.param.check.kernel) + "_" + test_info.param.check.what + "_" +
                     text_of(test_info.param.shape) + "_seed" + std::to_string(test_info.param.shape.seed);
  std::replace_if(
      name.begin(), name.end(), [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
  return name;
});

TEST(RunChecks, EveryCheckOverEveryShape_givesAFigureWithItsBound) {
  const KernelCheck by_heads{"attend", "a", 0.5, true, [](const CheckShape& shape) {
                               return CheckError{static_cast<double>(shape.group), 0.25};
                             }};
  KernelCheck once = by_heads;
  once.by_heads = false;
  const std::vector<CheckShape> shapes = check_shapes(64, 3);
  EXPECT_EQ(shapes.size(), 36U);
  std::set<unsigned> seeds;
  for (const CheckShape& shape : shapes) seeds.insert(shape.seed);
  EXPECT_EQ(seeds.size(), shapes.size());
  EXPECT_EQ(run_checks({once}, shapes, 1).size(), 2U);
  KernelCheck half = by_heads;
  half.only = kernels::KvType::f32;
  EXPECT_EQ(run_checks({half}, shapes, 3).size(), 24U);
  const std::vector<Measurement> figures = run_checks({by_heads}, shapes, 3);
  ASSERT_EQ(figures.size(), 72U);
  EXPECT_EQ(figures[0].subject, "attend");
  EXPECT_EQ(figures[0].quantity, "error");
  EXPECT_EQ(figures[0].condition, "a, G=1 dim=64 f16, seed 3, up to 64 tokens");
  EXPECT_FALSE(within_bound(figures[0]));
  EXPECT_TRUE(within_bound(figures[1]));
}

}  // namespace
}  // namespace hybridgen::cuda
