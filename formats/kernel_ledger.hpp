// traces/VERIFIED.md: which GPU kernel, in which version of its source, was right and how fast on which card.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace hybridgen {

struct LedgerLine {
  std::string kernel;       // the file's name without .cu
  std::string source_hash;  // of the version that the line speaks of (runtime/cuda/kernel_hashes.py)
  bool verified = false;    // compared with fp64 on a card, every error within its bound
  // Of a kernel that was measured; else empty.
  std::string commit, card, date;
  double error = 0;  // the largest share of its bound that an error took: at most 1 is right
  std::optional<double> stream_share;  // of the card's own streaming read; none: speed was not measured
};

// The whole file. Lines in the order given; "N kernels, M verified" stands above the table.
std::string kernel_ledger_text(const std::vector<LedgerLine>& lines);
// Throws BadInput with file, line and remedy for a line that is none of the table's.
std::vector<LedgerLine> read_kernel_ledger(const std::string& path);

}  // namespace hybridgen
