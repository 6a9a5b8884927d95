// A machine with a card as lanes and tiers, without costs: what the executor needs to run on it.
#pragma once

#include "core/machine/machine.hpp"

namespace hybridgen::cuda {

// host_threads: of the CPU lane, from core 1 on: core 0 drives the card.
Machine bare_card_machine(Bytes card_memory, Bytes host_memory, int host_threads);

}  // namespace hybridgen::cuda
