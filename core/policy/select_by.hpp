// For whom host rows are chosen and go up.
#pragma once

namespace hybridgen {

enum class SelectBy {
  query_head,     // each query head its own rows, for itself
  kv_group,       // the union of what the query heads of a KV head choose, once per KV head
  kv_group_best,  // one choice per KV head: the rows that come closest to the largest logit of any of its
                  // heads
};

}  // namespace hybridgen
