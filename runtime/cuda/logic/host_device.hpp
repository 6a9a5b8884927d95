// HYBRIDGEN_HD marks what runs on a GPU and, compiled by any C++ compiler, in the tests on the CPU. Headers
// of this folder use nothing of CUDA and nothing of std that device code may not call.
#pragma once

#if defined(__CUDACC__)
#define HYBRIDGEN_HD __host__ __device__
#else
#define HYBRIDGEN_HD
#endif
