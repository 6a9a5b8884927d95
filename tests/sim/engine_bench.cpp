// Operations per second of both engines: sim_engine_bench [lanes] [ops]. Prints their largest difference, so
// that a wrong engine is not called a fast one.
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "sim/fluid/fluid_engine.hpp"
#include "sim/simgrid/simgrid_engine.hpp"
#include "tests/sim/random_plans.hpp"

int main(int argc, char** argv) {
  using namespace hybridgen;
  const int lanes = argc > 1 ? std::atoi(argv[1]) : 4;
  const int ops = argc > 2 ? std::atoi(argv[2]) : 200'000;
  testing::Draw draw(1);
  const testing::RandomWorld world = testing::random_world(draw);
  const std::vector<PlannedOp> plans = testing::random_plans(world, lanes, ops, draw);
  const auto timed = [&](Engine& engine) {
    const auto begin = std::chrono::steady_clock::now();
    std::vector<OpSpan> spans = run_plans(engine, plans);
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    std::printf("%-8s %d lanes %d ops: %.0f ops/s\n", engine.name().c_str(), lanes, ops, ops / seconds);
    return spans;
  };
  FluidEngine fluid(world.channel_bytes_per_s);
  SimGridEngine simgrid({world.channel_bytes_per_s, world.paths, 4 * lanes});
  const std::vector<OpSpan> a = timed(fluid);
  const std::vector<OpSpan> b = timed(simgrid);
  double worst = 0;
  for (std::size_t i = 0; i < a.size(); ++i) worst = std::max(worst, std::abs(a[i].end_ns - b[i].end_ns));
  std::printf("largest difference %.6f ns\n", worst);
  return worst <= 2 ? 0 : 1;
}
