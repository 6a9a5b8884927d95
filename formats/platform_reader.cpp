#include "formats/platform_reader.hpp"

#include <algorithm>
#include <cctype>

#include "formats/yaml_reader.hpp"

namespace hybridgen {
namespace {

using Description = PlatformDescription;

constexpr double kMostGBps = 1e9;  // an exabyte per second: a slip of the unit, not a machine
constexpr double kMostGiB = 1e9;
constexpr double kMostNs = 1e12;
constexpr NumberRange kBandwidth{0, kMostGBps, true};
constexpr NumberRange kNs{0, kMostNs, false};
constexpr IntegerRange kThreads{1, 4096};
constexpr IntegerRange kCores{0, 1 << 20};
constexpr IntegerRange kNodes{0, 1023};  // Linux numbers no more

template <class Kind>
NameSet kinds_of(const std::string& noun, std::initializer_list<Kind> kinds) {
  NameSet set{noun, {}, true};
  for (const Kind kind : kinds) set.names.emplace_back(name_of(kind));
  return set;
}

template <class List>
auto find_named(const List& list, const std::string& name) {
  return std::find_if(list.begin(), list.end(), [&](const auto& entry) { return entry.name == name; });
}

// Reads the sections in the order in which they refer to each other, whatever their order in the file: a
// reference is checked where it is read, while its place is at hand.
class PlatformReader {
 public:
  PlatformReader(const YamlNode& root, YamlErrors& errors) : root_({&root, ""}, errors), errors_(errors) {}

  Description read() {
    out_.name = name(root_, "platform", {});
    out_.description = root_.text("description", Need::optional).value_or("");
    section("channels", channels_, [this](const YamlItem& item) { channel(item); });
    section("memories", memories_, [this](const YamlItem& item) { memory(item); });
    section("processors", processors_, [this](const YamlItem& item) { processor(item); });
    NameSet lanes{"lane", {}, true};
    section("lanes", lanes, [this](const YamlItem& item) { lane(item); });
    NameSet copies{"copy", {}, true};
    section("copies", copies, [this](const YamlItem& item) { copy(item); });
    YamlMap costs(root_.map("copy_costs", Need::required), errors_);
    out_.h2d = cost(costs.map("h2d", Need::required));
    out_.d2h = cost(costs.map("d2h", Need::required));
    costs.finish();
    YamlMap gap(root_.map("step_gap_ns", Need::required), errors_);
    out_.step_gap_ns = gap.number("value", Need::required, kNs).value_or(0);
    out_.step_gap_source = gap.text("source", Need::required).value_or("");
    gap.finish();
    for (const YamlItem& item : root_.list("measured", Need::optional)) measured(item);
    root_.finish();
    if (errors_.count() == 0) check_whole();
    return std::move(out_);
  }

 private:
  template <class Read>
  void section(const std::string& key, NameSet& names, const Read& read) {
    const std::size_t before = errors_.count();
    for (const YamlItem& item : root_.list(key, Need::required)) read(item);
    names.complete = errors_.count() == before && root_.has(key);
  }

  // Names become column names and file names, so they hold no separators.
  std::string name(YamlMap& map, const std::string& key, const std::vector<std::string>& taken) {
    const std::string text = map.text(key, Need::required).value_or("");
    const bool word = std::all_of(text.begin(), text.end(), [](unsigned char c) {
      return std::isalnum(c) != 0 || c == '_' || c == '-' || c == '.';
    });
    if (!word) map.fault(key, "'" + text + "' is no name; use letters, digits, _ - and . only");
    if (std::find(taken.begin(), taken.end(), text) != taken.end()) {
      map.fault(key, "the name '" + text + "' is taken; choose another");
    }
    return text;
  }

  std::vector<std::string> picked(const NameSet& set, const std::vector<std::size_t>& indices) {
    std::vector<std::string> names;
    for (const std::size_t i : indices) names.push_back(set.names[i]);
    return names;
  }

  std::string reference(YamlMap& map, const std::string& key, const NameSet& set) {
    const auto index = map.choice(key, Need::required, set);
    return index ? set.names[*index] : "";
  }

  void channel(const YamlItem& item) {
    static const NameSet kKinds =
        kinds_of("kind", {ChannelKind::memory, ChannelKind::link, ChannelKind::duplex});
    YamlMap map(item, errors_);
    Description::Channel channel;
    channel.name = name(map, "name", channels_.names);
    channel.kind = static_cast<ChannelKind>(map.choice("kind", Need::required, kKinds).value_or(0));
    channel.bandwidth_GBps = map.number("bandwidth_GBps", Need::required, kBandwidth).value_or(1);
    channel.source = map.text("source", Need::required).value_or("");
    map.finish();
    channels_.names.push_back(channel.name);
    out_.channels.push_back(channel);
  }

  void memory(const YamlItem& item) {
    static const NameSet kKinds = kinds_of(
        "kind", {TierKind::hbm, TierKind::dram, TierKind::cxl, TierKind::disk, TierKind::interleaved});
    YamlMap map(item, errors_);
    Description::Memory memory;
    memory.name = name(map, "name", memories_.names);
    const auto kind = map.choice("kind", Need::required, kKinds);
    memory.kind = static_cast<TierKind>(kind.value_or(0));
    memory.capacity_GiB = map.number("capacity_GiB", Need::required, {0, kMostGiB, true}).value_or(1);
    memory.channel = reference(map, "channel", channels_);
    memory.source = map.text("source", Need::required).value_or("");
    if (!kind) {
      for (const char* key : {"over", "numa_node", "emulated"}) map.skip(key);
    } else if (memory.kind == TierKind::interleaved) {
      interleaved(map, memory);
    } else {
      map.refuse("over", "only a memory of kind interleaved is made of others; remove it");
      memory.numa_node = narrow(map.integer("numa_node", Need::optional, kNodes));
      memory.emulated = map.flag("emulated", Need::optional).value_or(false);
    }
    map.finish();
    memories_.names.push_back(memory.name);
    out_.memories.push_back(memory);
  }

  void interleaved(YamlMap& map, Description::Memory& memory) {
    NameSet below = memories_;
    below.complete = errors_.count() == 0;
    memory.over = picked(below, map.choices("over", Need::required, below));
    if (below.complete && memory.over.size() == 1) {
      map.fault("over", "one memory is nothing to alternate between; name two or more");
    }
    for (const std::string& name : memory.over) {
      const TierKind kind = find_named(out_.memories, name)->kind;
      if (below.complete && kind != TierKind::dram && kind != TierKind::cxl) {
        map.fault("over", "pages cannot lie in '" + name + "', which is of kind " + name_of(kind) +
                              "; name memories of kind dram or cxl");
      }
    }
    map.refuse("numa_node", "its pages lie on the nodes of the memories under over; remove it");
    map.refuse("emulated", "it is emulated where a memory under over is; remove it");
  }

  void processor(const YamlItem& item) {
    static const NameSet kKinds =
        kinds_of("kind", {ProcessorKind::gpu, ProcessorKind::cpu, ProcessorKind::host_device});
    YamlMap map(item, errors_);
    Description::Processor processor;
    processor.name = name(map, "name", processors_.names);
    processor.kind = static_cast<ProcessorKind>(map.choice("kind", Need::required, kKinds).value_or(0));
    std::vector<std::string> reached;
    for (const YamlItem& reach : map.list("reaches", Need::required)) {
      YamlMap entry(reach, errors_);
      const std::string memory = reference(entry, "memory", memories_);
      if (std::find(reached.begin(), reached.end(), memory) != reached.end() && !memory.empty()) {
        entry.fault("memory", "'" + memory + "' is listed twice; keep one entry");
      }
      reached.push_back(memory);
      processor.reaches.push_back(
          {memory, picked(channels_, entry.choices("links", Need::optional, channels_))});
      refuse_round_trip(entry, processor.reaches.back().links, {memory});
      entry.finish();
    }
    kernels(map.map("kernels", Need::required), processor);
    map.finish();
    processors_.names.push_back(processor.name);
    out_.processors.push_back(processor);
  }

  void kernels(const YamlItem& item, Description::Processor& processor) {
    YamlMap map(item, errors_);
    kernel(map, "default", Need::required, processor);
    for (int i = 0; i < kOpKinds; ++i) {
      kernel(map, name_of(static_cast<OpKind>(i)), Need::optional, processor);
    }
    map.finish();
  }

  void kernel(YamlMap& kernels, const std::string& op, Need need, Description::Processor& processor) {
    const YamlItem item = kernels.map(op, need);
    if (item.node == nullptr) return;
    YamlMap map(item, errors_);
    Description::Kernel kernel;
    kernel.op = op;
    kernel.fixed_ns = map.number("fixed_ns", Need::required, kNs).value_or(0);
    kernel.bandwidth_GBps = map.number("bandwidth_GBps", Need::optional, kBandwidth);
    kernel.compute_GFLOPs = map.number("compute_GFLOPs", Need::optional, {0, 1e12, true});
    kernel.scan_Gitems_per_s = map.number("scan_Gitems_per_s", Need::optional, {0, 1e9, true});
    kernel.row_ns = map.number("row_ns", Need::optional, kNs);
    kernel.source = map.text("source", Need::required).value_or("");
    map.finish();
    processor.kernels.push_back(kernel);
  }

  void lane(const YamlItem& item) {
    YamlMap map(item, errors_);
    Description::Lane lane;
    std::vector<std::string> taken;
    for (const auto& other : out_.lanes) taken.push_back(other.name);
    lane.name = name(map, "name", taken);
    lane.processor = reference(map, "processor", processors_);
    const auto owner = find_named(out_.processors, lane.processor);
    if (processors_.complete && owner != out_.processors.end() && owner->kind == ProcessorKind::gpu) {
      map.refuse("threads", "a lane of a gpu has no threads on cores; remove it");
      map.refuse("first_core", "a lane of a gpu has no threads on cores; remove it");
    } else {
      lane.threads = narrow(map.integer("threads", Need::optional, kThreads));
      lane.first_core = narrow(map.integer("first_core", Need::optional, kCores));
    }
    take_roles(map, lane);
    map.finish();
    out_.lanes.push_back(lane);
  }

  static std::optional<int> narrow(const std::optional<std::int64_t>& value) {
    return value ? std::optional<int>(static_cast<int>(*value)) : std::nullopt;
  }

  void take_roles(YamlMap& map, Description::Lane& lane) {
    static const NameSet kRoleNames = kinds_of("role", {Role::device, Role::host, Role::h2d, Role::d2h});
    for (const std::size_t index : map.choices("roles", Need::required, kRoleNames)) {
      const Role role = static_cast<Role>(index);
      for (const auto& other : out_.lanes) {
        if (std::find(other.roles.begin(), other.roles.end(), role) != other.roles.end()) {
          map.fault("roles", std::string("role ") + name_of(role) + " belongs to lane '" + other.name +
                                 "' already; give it to one lane");
        }
      }
      lane.roles.push_back(role);
    }
  }

  void copy(const YamlItem& item) {
    YamlMap map(item, errors_);
    Description::Copy copy;
    copy.from = reference(map, "from", memories_);
    copy.to = reference(map, "to", memories_);
    copy.links = picked(channels_, map.choices("links", Need::optional, channels_));
    if (!copy.from.empty() && has_copy(copy.from, copy.to)) {
      map.fault("from", "the copy from '" + copy.from + "' to '" + copy.to + "' is listed twice; keep one");
    }
    refuse_round_trip(map, copy.links, {copy.from, copy.to});
    if (!copy.from.empty() && copy.from == copy.to) {
      map.fault("to", "a copy from '" + copy.from + "' to itself leads nowhere; name another memory");
    }
    map.finish();
    out_.copies.push_back(copy);
  }

  // A way starts and ends with the memories' own channels; one of them in between would be a circle.
  void refuse_round_trip(YamlMap& map, const std::vector<std::string>& links,
                         const std::vector<std::string>& ends) {
    for (const std::string& end : ends) {
      const auto memory = find_named(out_.memories, end);
      if (memory == out_.memories.end()) continue;
      if (std::find(links.begin(), links.end(), memory->channel) == links.end()) continue;
      map.fault("links", "'" + memory->channel + "' is the channel of memory '" + end +
                             "' itself, so the way leads back to where it was; remove it");
      return;
    }
  }

  Description::Cost cost(const YamlItem& item) {
    YamlMap map(item, errors_);
    Description::Cost cost;
    cost.fixed_ns = map.number("fixed_ns", Need::required, kNs).value_or(0);
    cost.bandwidth_GBps = map.number("bandwidth_GBps", Need::required, kBandwidth).value_or(1);
    cost.source = map.text("source", Need::required).value_or("");
    map.finish();
    return cost;
  }

  void measured(const YamlItem& item) {
    YamlMap map(item, errors_);
    Measurement figure;
    figure.subject = map.text("of", Need::required).value_or("");
    figure.condition = map.text("where", Need::required).value_or("");
    figure.quantity = map.text("what", Need::required).value_or("");
    figure.value = map.number("value", Need::required, {0}).value_or(0);
    figure.unit = map.text("unit", Need::required).value_or("");
    figure.spread = map.number("spread", Need::required, {0}).value_or(0);
    map.finish();
    out_.measured.push_back(figure);
  }

  bool has_copy(const std::string& from, const std::string& to) const {
    return std::any_of(out_.copies.begin(), out_.copies.end(),
                       [&](const auto& copy) { return copy.from == from && copy.to == to; });
  }

  // What a run needs of any platform, so that nothing is found missing in its middle.
  void check_whole() {
    const std::string hbm = memory_of(TierKind::hbm, Need::required);
    const std::string dram = memory_of(TierKind::dram, Need::required);
    const std::string cxl = memory_of(TierKind::cxl, Need::optional);
    const std::string interleaved = memory_of(TierKind::interleaved, Need::optional);
    for (const Role role : {Role::device, Role::host, Role::h2d, Role::d2h}) {
      const Description::Processor* owner = processor_of(role);
      if (owner == nullptr) {
        root_.fault("lanes", std::string("no lane has the role ") + name_of(role) + "; add it to one");
        continue;
      }
      if (role == Role::device) check_reach(role, *owner, hbm);
      if (role == Role::host) check_reach(role, *owner, dram);
      if (role == Role::host) check_reach(role, *owner, cxl);
      if (role == Role::host) check_reach(role, *owner, interleaved);
    }
    for (const std::string& host : {dram, cxl, interleaved}) {
      check_copy(host, hbm);
      check_copy(hbm, host);
    }
  }

  std::string memory_of(TierKind kind, Need need) {
    for (const auto& memory : out_.memories) {
      if (memory.kind == kind) return memory.name;
    }
    if (need == Need::required) {
      root_.fault("memories", std::string("none is of kind ") + name_of(kind) + "; add one");
    }
    return "";
  }

  const Description::Processor* processor_of(Role role) const {
    for (const auto& lane : out_.lanes) {
      if (std::find(lane.roles.begin(), lane.roles.end(), role) != lane.roles.end()) {
        return &*find_named(out_.processors, lane.processor);
      }
    }
    return nullptr;
  }

  void check_reach(Role role, const Description::Processor& owner, const std::string& memory) {
    const bool reaches = std::any_of(owner.reaches.begin(), owner.reaches.end(),
                                     [&](const auto& reach) { return reach.memory == memory; });
    if (reaches || memory.empty()) return;
    root_.fault("processors", "'" + owner.name + "' runs the lane of role " + name_of(role) +
                                  " but does not reach memory '" + memory + "'; add {memory: " + memory +
                                  "} to its reaches");
  }

  void check_copy(const std::string& from, const std::string& to) {
    if (from.empty() || to.empty() || has_copy(from, to)) return;
    root_.fault("copies",
                "no copy from '" + from + "' to '" + to + "'; add {from: " + from + ", to: " + to + "}");
  }

  YamlMap root_;
  YamlErrors& errors_;
  NameSet channels_{"channel", {}, true};
  NameSet memories_{"memory", {}, true};
  NameSet processors_{"processor", {}, true};
  Description out_;
};

}  // namespace

PlatformDescription read_platform_description(const std::string& text, const std::string& path) {
  YamlErrors errors(path);
  const YamlPtr root = parse_yaml(text, errors);
  errors.throw_if_any();
  if (root->kind == YamlKind::null) {
    errors.add({}, "", "the file is empty; write a platform: platform, channels, memories, processors, ...");
    errors.throw_if_any();
  }
  Description description = PlatformReader(*root, errors).read();
  errors.throw_if_any();
  return description;
}

}  // namespace hybridgen
