// Attention over chosen pages: the bounds of every page of K, the pages whose bound is largest, and attention
// over their rows (runtime/host/page_ops.cpp). Page p of a KV head is the slots from p * page_tokens on.
#pragma once

#include "runtime/cuda/kernels/launch.cuh"
#include "runtime/cuda/kernels/partials.hpp"

namespace hybridgen::cuda {

// The least and the largest of every channel: row p of a KV head is [2][head_dim] in the type of K.
struct PageStore {
  std::byte* bounds = nullptr;  // [kv_head][pages][2][head_dim]
  std::int64_t pages = 0;
  std::int64_t page_tokens = 1;
};

// Takes tokens op->first_token .. + op->tokens - 1 into the bounds of their pages.
struct PageBoundsArgs {
  const OpParams* op = nullptr;
  KvStore kv;  // v is not read
  PageStore pages;
  HeadShape heads;
  KvType kv_type = KvType::f16;
};
void page_bounds(const PageBoundsArgs& args, int blocks, cudaStream_t stream);

// Of the first op->tokens / page_tokens pages, the op->rows_per_head / page_tokens ones with the largest
// bound of q . k, for every query head, ascending; equal bounds take the older page.
struct SelectPagesArgs {
  const OpParams* op = nullptr;
  PageStore pages;
  HeadShape heads;
  KvType kv_type = KvType::f16;
  const float* q = nullptr;        // [query_heads][head_dim], turned
  int splits = 1;                  // blocks that share a KV head's pages
  float* scores = nullptr;         // [query_heads][pages], workspace
  std::int32_t* chosen = nullptr;  // [query_heads][pages]
};
void select_pages(const SelectPagesArgs& args, cudaStream_t stream);

// Over the chosen pages, and op->tokens rows from op->first_token on.
struct AttendPagesArgs {
  const OpParams* op = nullptr;
  KvStore kv;
  PageStore pages;
  HeadShape heads;
  KvType kv_type = KvType::f16;
  const float* q = nullptr;
  float scale = 0;                       // 1 / sqrt(head_dim)
  const std::int32_t* chosen = nullptr;  // of select_pages
  PartialSpace space;                    // arrived: by query head
  int splits = 1;
  float* out = nullptr;  // [query_heads][head_dim]
};
void attend_pages(const AttendPagesArgs& args, cudaStream_t stream);

}  // namespace hybridgen::cuda
