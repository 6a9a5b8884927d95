// Recorded selections put together for a fit: runs that leave a head about the same share of the rows.
#pragma once

#include <vector>

#include "sim/world/recorded_run.hpp"

namespace hybridgen {

struct SelectionSample {
  double share = 0;  // that a head may choose, mean
  std::vector<RecordedSelection> all;
};

// By growing share. Requests of different runs get different ids. BadInput where a run changes its share.
std::vector<SelectionSample> samples_of(const std::vector<const RecordedRun*>& runs);

// Rows chosen, of every row that a head chose among.
double rows_per_head_and_token(const RecordedSelection& each);

template <class Visit>
void for_layer(const SelectionSample& sample, int layer, const Visit& visit) {
  for (const RecordedSelection& each : sample.all) {
    if (each.selection.layer == layer) visit(each);
  }
}

}  // namespace hybridgen
