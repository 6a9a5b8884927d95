# Helpers that every room's CMakeLists.txt uses.

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
endif()

set(HYBRIDGEN_SANITIZE "" CACHE STRING "comma-separated sanitizers, for example address,undefined")
add_library(hybridgen_flags INTERFACE)
target_compile_options(hybridgen_flags INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-Wall;-Wextra;-Wpedantic;-Wshadow;-Werror>
  # No -Wpedantic: what nvcc hands to the host compiler is not pedantic C++.
  "$<$<COMPILE_LANGUAGE:CUDA>:SHELL:-Xcompiler=-Wall,-Wextra -Werror=all-warnings>")
# GCC 12.2 drops the mask in `if (c) return x; return bit_cast<float>(bit_cast<uint32_t>(x) & mask);` when x comes from
# memory: its code hoisting takes the two loads for one value. LlamaWeights.EveryTensor_liesInItsFusedPlace fails then.
target_compile_options(hybridgen_flags INTERFACE
  $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-fno-code-hoisting>)
if(HYBRIDGEN_SANITIZE)
  target_compile_options(hybridgen_flags INTERFACE
    $<$<COMPILE_LANGUAGE:CXX>:-fsanitize=${HYBRIDGEN_SANITIZE};-fno-omit-frame-pointer>)
  target_link_options(hybridgen_flags INTERFACE -fsanitize=${HYBRIDGEN_SANITIZE})
endif()

# hybridgen_room(NAME SOURCES a.cpp ... LINK other_room library ...)
# One static library per room. Includes are written from the root: #include "core/step/op.hpp".
function(hybridgen_room name)
  cmake_parse_arguments(ROOM "" "" "SOURCES;LINK" ${ARGN})
  add_library(${name} STATIC ${ROOM_SOURCES})
  target_include_directories(${name} PUBLIC ${PROJECT_SOURCE_DIR})
  target_link_libraries(${name} PUBLIC ${ROOM_LINK} PRIVATE hybridgen_flags)
endfunction()
