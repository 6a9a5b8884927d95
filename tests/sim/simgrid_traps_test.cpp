// What SimGrid 3.32 does where a user would expect something else; our engine rests on each of these. They
// talk to SimGrid directly. Its settings and engine are per process, so every case runs in a child and prints
// the times at which its activities end, in nanoseconds.
#include <gtest/gtest.h>
#include <xbt/log.h>
#include <simgrid/s4u.hpp>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

namespace hybridgen::testing {
namespace {

namespace s4u = simgrid::s4u;
using Settings = std::vector<std::string>;

// Our settings, with one replaced.
Settings ours(const std::string& replaced = {}) {
  Settings settings = {"network/model:CM02",         "network/crosstraffic:0",   "network/TCP-gamma:1e18",
                       "network/bandwidth-factor:1", "network/latency-factor:1", "surf/precision:1e-12"};
  for (std::string& setting : settings) {
    if (setting.substr(0, setting.find(':')) == replaced.substr(0, replaced.find(':'))) setting = replaced;
  }
  return settings;
}

// Six hosts of 1e9 flop/s in a full zone, and a record of what ends when.
class World {
 public:
  explicit World(const Settings& settings) {
    xbt_log_control_set("root.thresh:critical");
    static int argc = 1;
    static char name[] = "traps";
    static char* argv[] = {name, nullptr};
    engine_ = new s4u::Engine(&argc, argv);
    for (const std::string& setting : settings) s4u::Engine::set_config(setting);
    zone_ = s4u::create_full_zone("machine");
    for (int i = 0; i < 6; ++i) hosts_.push_back(zone_->create_host(std::to_string(i), 1e9)->seal());
    s4u::Activity::on_completion_cb([](const s4u::Activity&) { print_now(); });
  }

  static void print_now() { std::fprintf(stderr, "%.3f ", s4u::Engine::get_clock() * 1e9); }
  s4u::Host* host(int i) { return hosts_.at(static_cast<std::size_t>(i)); }
  s4u::Link* link(const std::string& name, double bytes_per_s, double latency_s) {
    return zone_->create_link(name, bytes_per_s)->set_latency(latency_s)->seal();
  }
  void route(int from, int to, const std::vector<s4u::Link*>& links) {
    std::vector<s4u::LinkInRoute> route;
    for (s4u::Link* link : links) route.emplace_back(link);
    zone_->add_route(host(from)->get_netpoint(), host(to)->get_netpoint(), nullptr, nullptr, route, false);
  }
  void copy(int from, int to, std::uint64_t bytes) {
    const s4u::CommPtr comm = s4u::Comm::sendto_init(host(from), host(to));
    comm->set_payload_size(bytes);
    comm->vetoable_start();
    kept_.push_back(comm);
  }
  void execute(int on, double flops) {
    const s4u::ExecPtr exec = s4u::Exec::init();
    exec->set_flops_amount(flops)->set_host(host(on));
    exec->vetoable_start();
    kept_.push_back(exec);
  }
  void seal() { zone_->seal(); }
  void run() { engine_->run(); }
  void end() {
    kept_.clear();
    delete engine_;
  }

 private:
  s4u::Engine* engine_;
  s4u::NetZone* zone_;
  std::vector<s4u::Host*> hosts_;
  std::vector<s4u::ActivityPtr> kept_;
};

class SimGridTrap : public ::testing::Test {
 protected:
  void SetUp() override { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};

#define EXPECT_ENDS_AT(statement, times) \
  EXPECT_EXIT(                           \
      {                                  \
        statement;                       \
        std::_Exit(0);                   \
      },                                 \
      ::testing::ExitedWithCode(0), times)
#define EXPECT_ABORTS(statement, message) EXPECT_EXIT(statement, ::testing::KilledBySignal(SIGABRT), message)

// One copy of 64 KiB over 16 bytes per ns and 1000 ns of latency.
void one_copy(const Settings& settings) {
  World world(settings);
  world.route(0, 1, {world.link("l", 16e9, 1e-6)});
  world.seal();
  world.copy(0, 1, 65536);
  world.run();
}

// 65536 / 16 + 1000 = 5096.
TEST_F(SimGridTrap, OneCopy_ourSettingsGiveBytesOverRatePlusLatency) {
  EXPECT_ENDS_AT(one_copy(ours()), "^5096\\.000 $");
}

// TCP on a LAN: 13.01 x the latency, and 97 % of the rate: 13010 + 65536 / 15.52 = 17232.7, 3.4 times ours.
TEST_F(SimGridTrap, OneCopy_defaultModelTakesThreeTimesAsLong) {
  EXPECT_ENDS_AT(one_copy({}), "^17232\\.680 $");
}

// 16000 bytes through a mailbox at no more than 1 byte per ns.
void capped_copy(const Settings& settings, double latency_s) {
  World world(settings);
  world.route(0, 1, {world.link("l", 16e9, latency_s)});
  world.seal();
  s4u::Actor::create("sender", world.host(0), [] {
    int payload = 0;
    s4u::Mailbox::by_name("box")->put_init(&payload, 16000)->set_rate(1e9)->wait();
  });
  s4u::Actor::create("receiver", world.host(1), [] { s4u::Mailbox::by_name("box")->get<int>(); });
  s4u::Engine::get_instance()->run();
  World::print_now();
}

TEST_F(SimGridTrap, RateCap_ourGammaKeepsIt) {
  EXPECT_ENDS_AT(capped_copy(ours(), 1e-6), "17000\\.000 $");  // 16000 / 1 + 1000
  EXPECT_ENDS_AT(capped_copy(ours(), 0), "16000\\.000 $");
}

// The cap becomes min(rate, gamma / (2 latency)) = 0, which means none: 16000 / 16 + 1000 = 2000.
TEST_F(SimGridTrap, RateCap_gammaZeroWithLatencyIgnoresIt) {
  EXPECT_ENDS_AT(capped_copy(ours("network/TCP-gamma:0"), 1e-6), "2000\\.000 $");
  EXPECT_ENDS_AT(capped_copy(ours("network/TCP-gamma:0"), 0), "16000\\.000 $");
}

// A copy between hosts without a mailbox, its rate set before or after its hosts.
void direct_copy(bool rate_first) {
  World world(ours());
  world.route(0, 1, {world.link("l", 16e9, 0)});
  world.seal();
  const s4u::CommPtr comm = s4u::Comm::sendto_init();
  if (rate_first) comm->set_rate(1e9);
  comm->set_source(world.host(0))->set_destination(world.host(1));
  if (!rate_first) comm->set_rate(1e9);
  comm->set_payload_size(16000);
  comm->vetoable_start();
  world.run();
}

// 16000 / 16 = 1000, not 16000: so a cap is a private link in the route.
TEST_F(SimGridTrap, DirectCopy_ignoresARateSetBeforeItsHosts) {
  EXPECT_ENDS_AT(direct_copy(true), "^1000\\.000 $");
}

TEST_F(SimGridTrap, DirectCopy_abortsOnARateSetAfterItsHosts) {
  EXPECT_ABORTS(direct_copy(false), "cannot use set_rate");
}

TEST_F(SimGridTrap, DirectCopy_abortsOnARateAfterSendtoAsync) {
  EXPECT_ABORTS(
      {
        World world(ours());
        world.route(0, 1, {world.link("l", 16e9, 0)});
        world.seal();
        s4u::Comm::sendto_async(world.host(0), world.host(1), 16000)->set_rate(1e9);
      },
      "cannot use set_rate");
}

// set_remaining is not the size of a direct copy; set_payload_size is, in whole bytes.
TEST_F(SimGridTrap, DirectCopy_ignoresSetRemaining) {
  EXPECT_ENDS_AT(
      {
        World world(ours());
        world.route(0, 1, {world.link("l", 16e9, 0)});
        world.seal();
        const s4u::CommPtr comm = s4u::Comm::sendto_init(world.host(0), world.host(1));
        comm->set_remaining(16000);
        comm->vetoable_start();
        world.run();
      },
      "^0\\.000 $");
}

// Two copies of 1e6 bytes share 10 bytes per ns.
void shared_by(double latency_a, double latency_b) {
  World world(ours());
  s4u::Link* shared = world.link("shared", 10e9, 0);
  world.route(0, 1, {world.link("a", 1e12, latency_a), shared});
  world.route(2, 3, {world.link("b", 1e12, latency_b), shared});
  world.seal();
  world.copy(0, 1, 1'000'000);
  world.copy(2, 3, 1'000'000);
  world.run();
}

TEST_F(SimGridTrap, Sharing_withoutLatencyIsEqual) {
  EXPECT_ENDS_AT(shared_by(0, 0), "^200000\\.000 200000\\.000 $");
}

// CM02 weighs by latency: 1000 and 3000 ns share 3 : 1 (after the first has had 2000 ns alone), and a flow of
// 1000 ns leaves all but nothing to one without. So latency is part of the fixed time, never of a link.
TEST_F(SimGridTrap, Sharing_weighsByLatency) {
  EXPECT_ENDS_AT(shared_by(1e-6, 3e-6), "^133666\\.667 201000\\.000 $");
  EXPECT_ENDS_AT(shared_by(0, 1e-6), "^101000\\.100 200000\\.000 $");
}

void opposite_copies(const Settings& settings) {
  World world(settings);
  world.route(0, 1, {world.link("up", 10e9, 0)});
  world.route(1, 0, {world.link("down", 10e9, 0)});
  world.seal();
  world.copy(0, 1, 1'000'000);
  world.copy(1, 0, 1'000'000);
  world.run();
}

// TCP's acknowledgements load the way back with 5 %: opposite copies slow each other down.
TEST_F(SimGridTrap, CrossTraffic_slowsOppositeCopies) {
  EXPECT_ENDS_AT(opposite_copies(ours("network/crosstraffic:1")), "^105000\\.000 105000\\.000 $");
  EXPECT_ENDS_AT(opposite_copies(ours()), "^100000\\.000 100000\\.000 $");
}

void two_executions(const Settings& settings) {
  World world(settings);
  world.seal();
  world.execute(0, 100.0);
  world.execute(1, 100.4);
  world.run();
}

// Events less than surf/precision apart are one event, and its default is a nanosecond: every op may end up
// to 1 ns early, which adds up along a plan.
TEST_F(SimGridTrap, Precision_defaultMergesEventsWithinANanosecond) {
  EXPECT_ENDS_AT(two_executions({}), "^100\\.000 100\\.000 $");
  EXPECT_ENDS_AT(two_executions(ours()), "^100\\.000 100\\.400 $");
}

TEST_F(SimGridTrap, SecondEngine_startsAtTheFirstOnesEnd) {
  EXPECT_ENDS_AT(
      {
        World first(ours());
        first.seal();
        first.execute(0, 5000);
        first.run();
        first.end();
        World second({});
        World::print_now();
      },
      "^5000\\.000 5000\\.000 $");
}

TEST_F(SimGridTrap, SecondRun_startsAtTheFirstOnesEnd) {
  EXPECT_ENDS_AT(
      {
        World world(ours());
        world.seal();
        world.execute(0, 5000);
        world.run();
        world.execute(0, 5000);
        world.run();
      },
      "^5000\\.000 10000\\.000 $");
}

TEST_F(SimGridTrap, TwoEnginesAtOnce_abort) {
  EXPECT_ABORTS(
      {
        World first(ours());
        World second({});
      },
      "more than one instance");
}

TEST_F(SimGridTrap, ModelSetAfterThePlatform_aborts) {
  EXPECT_ABORTS(
      {
        World world(ours());
        world.seal();
        s4u::Engine::set_config("network/model:CM02");
      },
      "Cannot change the model");
}

// So the engine is told all its paths and its most legs when it is made.
TEST_F(SimGridTrap, HostAfterSealing_isRefused) {
  EXPECT_EXIT(
      {
        World world(ours());
        world.seal();
        try {
          world.host(0)->get_englobing_zone()->create_host("late", 1e9);
        } catch (const simgrid::AssertionError&) {
          std::_Exit(3);
        }
        std::_Exit(0);
      },
      ::testing::ExitedWithCode(3), "");
}

}  // namespace
}  // namespace hybridgen::testing
