"""How many recurrent parameters a net has, so that cells can be compared at equal size."""

from dataclasses import dataclass


@dataclass(frozen=True)
class RecurrentLayers:
    """The sizes of a net's recurrent layers; `directions` is 2 where they read forwards and backwards."""

    input_size: int
    hidden_size: int
    layers: int
    directions: int = 1

    def parameters(self, gates: int) -> int:
        """Weights, and one bias a gate, of a cell with so many gates."""
        features = [self.input_size] + [self.directions * self.hidden_size] * (self.layers - 1)
        return sum(self.directions * gates * self.hidden_size * (f + self.hidden_size + 1) for f in features)
