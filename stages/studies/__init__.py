"""One module a study: its arms, its model, its protocol and its scores.

A study module has, whatever it compares:

- `Hyperparameters`: a frozen dataclass, all that decides one arm's training, as JSON-like values;
- `arms(cell, training, layers, dropout)`: the arms to train for a cell;
- `Data(folder)`: what data/ready/STUDY holds, memory-mapped, with `corpus` and `digest`;
- `Task(data, hyperparameters, seed, repeats, device)`: some repeats of an arm, as the training loop wants them, with
  `test()`, which gives each repeat's scores. A study is given as many at once as its parameter `repeats_at_once` says,
  one where it has none.
"""

from dataclasses import dataclass
from typing import Any, Literal

Protocol = Literal["published", "corrected"]


@dataclass(frozen=True)
class Arm:
    """One setting of a study's own grid under one protocol, or under both where no correction changes it.

    `hyperparameters` is an instance of the study's own dataclass. `sweep` names the one of them whose values, as
    whole numbers, the settings are, where the study asks how scores depend on it: the arms of a sweep are one curve.
    """

    setting: str
    protocols: tuple[Protocol, ...]
    hyperparameters: Any
    sweep: str = ""

    @property
    def slug(self) -> str:
        """The arm's name in file names and runs: `published`, or `basic-published` where there is a grid."""
        return "-".join(part for part in (self.setting, self.protocols[0]) if part)
