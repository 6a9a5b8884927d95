// One value out of every thread's, where speed does not matter: a tree in shared memory. Device code only.
#pragma once

namespace hybridgen::cuda {

// join(...) over the block's kThreads values, in all threads; always in the same order. shared: [kThreads],
// free again behind the next barrier.
template <int kThreads, class T, class Join>
__device__ T reduce_block(const T& mine, T* shared, const Join& join) {
  __syncthreads();  // an earlier result has been read
  shared[threadIdx.x] = mine;
  for (int half = kThreads / 2; half > 0; half /= 2) {
    __syncthreads();
    const int i = static_cast<int>(threadIdx.x);
    if (i < half) shared[i] = join(shared[i], shared[i + half]);
  }
  __syncthreads();
  return shared[0];
}

}  // namespace hybridgen::cuda
