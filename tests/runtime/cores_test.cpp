// Where a thread may run while pinned threads work elsewhere.
#include "runtime/host/cores.hpp"

#include <gtest/gtest.h>
#include <sched.h>

#include <fstream>
#include <string>
#include <vector>

namespace hybridgen {
namespace {

std::vector<int> allowed() {
  cpu_set_t set;
  CPU_ZERO(&set);
  EXPECT_EQ(sched_getaffinity(0, sizeof set, &set), 0);
  std::vector<int> cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
  }
  return cpus;
}

TEST(OffCores, AllButTheFirst_onlyTheFirstIsLeftAndAllComeBack) {
  if (usable_cores() < 2) GTEST_SKIP() << "one core: there is none to leave";
  const std::vector<int> before = allowed();
  {
    const OffCores beside(1, usable_cores() - 1);
    const std::vector<int> during = allowed();
    EXPECT_LT(during.size(), before.size());
    EXPECT_EQ(during.front(), before.front());
  }
  EXPECT_EQ(allowed(), before);
}

TEST(OffCores, AllThereAre_changesNothing) {
  const std::vector<int> before = allowed();
  const OffCores beside(0, usable_cores());
  EXPECT_EQ(allowed(), before);
}

// Also where a hypervisor lets NUMA nodes show only what has been touched.
TEST(UsableMemory, AllThatTheSystemCounts) {
  std::ifstream file("/proc/meminfo");
  std::string key;
  Bytes kilobytes = 0;
  ASSERT_TRUE(file >> key >> kilobytes);
  ASSERT_EQ(key, "MemTotal:");
  EXPECT_GE(usable_memory(), kilobytes * 1024);
}

}  // namespace
}  // namespace hybridgen
