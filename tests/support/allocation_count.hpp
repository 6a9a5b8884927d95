// Counts every allocation of a program that links allocation_count.cpp, by a malloc of its own (operator new
// ends there too). Under a sanitizer, which brings its own malloc, nothing is counted.
#pragma once

#include <cstdint>

namespace hybridgen::testing {

bool allocations_are_counted();
// From now on this thread's allocations go to `counter`; null: to the others'.
void count_this_thread(std::int64_t* counter);
// Of all threads without a counter of their own, since the program started.
std::int64_t other_allocations();

}  // namespace hybridgen::testing
