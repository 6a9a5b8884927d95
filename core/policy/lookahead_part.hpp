// The part that lets the host work one layer ahead of the device: layer i's input, through layer i+1's norm,
// q projection and positions, predicts the query that layer i+1 will have.
#pragma once

#include <string>
#include <vector>

namespace hybridgen {

// Where the host's logits of a layer come from, and which of them enter the softmax.
enum class LookaheadMode {
  off,     // the true query; the host works while the device is in the same layer
  choose,  // a predicted query chooses the rows; their K goes up, and true logits enter
  use,     // a predicted query chooses, and its logits enter
};
const char* name_of(LookaheadMode mode);

class LookaheadPart {
 public:
  virtual ~LookaheadPart() = default;
  // Layer 0 has no layer in front of it: off, whatever the part is.
  virtual LookaheadMode mode(int layer) const = 0;
  // Whether the model's fitted predictor is added to its q projection.
  virtual bool fitted() const = 0;
  // Whether predicted logits that enter are corrected by a line fitted in the step (mode `use`).
  virtual bool corrects() const = 0;
  // For people: what a reader of the experiment alone would not know.
  virtual std::vector<std::string> notes() const = 0;
};

}  // namespace hybridgen
