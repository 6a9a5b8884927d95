// What a thread group is given to do: a reference to a callable that outlives the call. Unlike std::function
// it never allocates, whatever the callable captures.
#pragma once

#include <cstdint>
#include <memory>
#include <type_traits>

namespace hybridgen {

class WorkRef {
 public:
  WorkRef() = default;
  // Implicit, so that a lambda can be written where work is wanted: void(int thread, int64 begin, int64 end).
  template <class F>
  requires(!std::is_same_v<std::remove_cvref_t<F>, WorkRef>)
      WorkRef(F&& callable)  // NOLINT(google-explicit-constructor)
      : object_(const_cast<void*>(static_cast<const void*>(std::addressof(callable)))),
        call_([](void* object, int thread, std::int64_t begin, std::int64_t end) {
          (*static_cast<std::remove_reference_t<F>*>(object))(thread, begin, end);
        }) {}

  void operator()(int thread, std::int64_t begin, std::int64_t end) const {
    call_(object_, thread, begin, end);
  }

 private:
  void* object_ = nullptr;
  void (*call_)(void*, int, std::int64_t, std::int64_t) = nullptr;
};

}  // namespace hybridgen
