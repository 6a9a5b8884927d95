#include "tests/cuda_emulation/work_list.hpp"

#include <algorithm>
#include <chrono>
#include <numeric>
#include <random>
#include <stdexcept>
#include <thread>
#include <utility>

#include "tests/cuda_emulation/card_memory.hpp"

namespace hybridgen::simt {
namespace {

constexpr std::chrono::seconds kPatience{60};

std::uint64_t new_id() {
  static std::uint64_t last = 0;
  return ++last;
}

std::mt19937& random_numbers() {
  static std::mt19937 random(1);
  return random;
}

}  // namespace

WorkList::WorkList() : id_(new_id()) {}

void WorkList::draw_from(unsigned seed) {
  random_numbers().seed(seed);
}

Place WorkList::add(Work work) {
  works_.push_back(std::move(work));
  return {id_, works_.size() - 1};
}

Place WorkList::add_copy(const WorkList& other, Place start) {
  const std::size_t offset = works_.size();
  Work end;
  for (const Work& from : other.works_) {
    Work copy = from;
    copy.after = {start};
    for (const Place& place : from.after) {
      if (other.has(place)) copy.after.push_back({id_, offset + place.index});
    }
    end.after.push_back(add(std::move(copy)));
  }
  end.after.push_back(start);
  return add(std::move(end));
}

bool WorkList::all_before(Place place) const {
  std::vector<bool> before(works_.size());
  std::vector<Place> open = {place};
  while (!open.empty()) {
    const Place next = open.back();
    open.pop_back();
    if (!has(next) || before[next.index]) continue;
    before[next.index] = true;
    open.insert(open.end(), works_[next.index].after.begin(), works_[next.index].after.end());
  }
  return std::find(before.begin(), before.end(), false) == before.end();
}

void WorkList::run() {
  const std::vector<Work> works = std::exchange(works_, {});
  const std::uint64_t id = std::exchange(id_, new_id());
  std::vector<bool> done(works.size());
  std::vector<std::size_t> left(works.size());
  std::iota(left.begin(), left.end(), std::size_t{0});
  auto last = std::chrono::steady_clock::now();
  while (!left.empty()) {
    std::shuffle(left.begin(), left.end(), random_numbers());
    const auto next = std::find_if(left.begin(), left.end(), [&](std::size_t i) {
      for (const Place& place : works[i].after) {
        if (place.list == id && !done[place.index]) return false;
      }
      return !works[i].ready || works[i].ready();
    });
    if (next == left.end()) {
      if (std::chrono::steady_clock::now() - last > kPatience) {
        throw std::logic_error("the streams and the host wait for each other for ever");
      }
      std::this_thread::yield();
      continue;
    }
    if (works[*next].work) {
      const CardMemoryOpen open;
      works[*next].work();
    }
    done[*next] = true;
    left.erase(next);
    last = std::chrono::steady_clock::now();
  }
}

}  // namespace hybridgen::simt
