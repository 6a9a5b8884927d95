"""What every policy is: settings as dataclass fields, and two methods."""

import dataclasses


@dataclasses.dataclass
class Policy:
    def calibrate(self, model, cached):
        """Offline work on a calibration text after its prefill; most policies need none."""

    def predict(self, model, index, before, positions):
        """The query of layer `index` guessed from `before`, the input (T, hidden) of the layer in front of it."""
        return None

    def attend(self, layer, rows):
        """Attention output (H, T, D) of every later token of a layer; rows counts what was read."""
        raise NotImplementedError
