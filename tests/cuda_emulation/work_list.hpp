// Work with what must be done before it, carried out in a random order.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

namespace hybridgen::simt {

// A piece of work by its list and place there; of no list: nothing.
struct Place {
  std::uint64_t list = 0;
  std::size_t index = 0;
};

struct Work {
  std::function<void()> work;   // empty: only a join
  std::function<bool()> ready;  // empty: always
  std::vector<Place> after;     // places of other lists count as done
};

class WorkList {
 public:
  WorkList();
  Place add(Work work);
  // All of another list's work once more, behind `start`; returns the place behind all of it.
  Place add_copy(const WorkList& other, Place start);
  bool has(Place place) const { return place.list == id_; }
  // Whether everything in the list comes before this place or is there.
  bool all_before(Place place) const;
  // Carries everything out and forgets it, also when a piece of work throws. Throws what a piece of work
  // throws, or when nothing goes on.
  void run();

  static void draw_from(unsigned seed);

 private:
  std::uint64_t id_;
  std::vector<Work> works_;
};

}  // namespace hybridgen::simt
