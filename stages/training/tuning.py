"""Each cell at its own learning rate, and at equal size: the same budget of trials for all, validation loss chooses.

How a net is compared should not hang on a rate that was found for another (Dodge et al. 2019, "Show your work"). So
every cell tries the same rates in the same few repeats; where an end of the list wins, the list goes on, as often for
every cell; and the rate that validates best trains fresh repeats, which alone are tested. The loss decides where
accuracies are what is compared, too: nets that answer all of a validation part rightly differ in it still.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from statistics import mean

from stages.kinds import Kind
from stages.nn.cells import CELLS
from stages.nn.sizes import RecurrentLayers
from stages.studies import Arm
from stages.support.sections import Heading, Tuning

REFERENCE = "lstm"
"""The cell whose recurrent parameters the others get under `equal_size`."""
EXTENSIONS = 2
"""How often a list of rates goes on where an end of it wins."""

Trials = Callable[[Sequence[Arm]], Sequence[Sequence[float | None]]]
"""Trains arms in the repeats that choose a rate: of each arm its trials' validation losses, None for one that diverged.
"""


def tuned_arms(
    kind: Kind, arms: Sequence[Arm], tuning: Tuning, headings: Sequence[Heading], trials: Trials
) -> list[Arm]:
    """For each of the arms, at the rate that validates best: `tuned`, and `equal_size`.

    The LSTM itself is of equal size, so that one arm stands under both headings. Other cells are resized at their
    tuned rate.
    """
    found = []
    rates = tuning.chosen_rates or best_rates(arms, tuning, trials)
    for arm, rate in zip(arms, rates, strict=True):
        tuned = replace(arm.hyperparameters, learning_rate=rate)
        equal = resized(kind, tuned)
        under: dict[object, list[Heading]] = {}
        for heading, hyperparameters in (("tuned", tuned), ("equal_size", equal)):
            if heading in headings:
                under.setdefault(hyperparameters, []).append(heading)  # type: ignore[arg-type]
        found += [Arm(arm.setting, tuple(names), h, arm.sweep) for h, names in under.items()]
    return found


def best_rates(arms: Sequence[Arm], tuning: Tuning, trials: Trials) -> list[float]:
    """The learning rate of each arm that validates best; where an end of its list wins, the list is extended.

    Of rates that validate alike the lowest is taken.
    """
    rates = [sorted(tuning.learning_rates) for _ in arms]
    losses: list[dict[float, float]] = [{} for _ in arms]
    for _ in range(1 + EXTENSIONS):
        missing = [(i, rate) for i, mine in enumerate(rates) for rate in mine if rate not in losses[i]]
        if not missing:
            break
        tried = trials([at_rate(arms[i], rate) for i, rate in missing])
        for (i, rate), validated in zip(missing, tried, strict=True):
            losses[i][rate] = _loss(validated)
        for mine, known in zip(rates, losses, strict=True):
            best = _best(known)
            if best == mine[0]:
                mine.insert(0, _beyond(mine[0], mine[1]))
            elif best == mine[-1]:
                mine.append(_beyond(mine[-1], mine[-2]))
    return [_best(known) for known in losses]


def resized(kind: Kind, hyperparameters: object) -> object:
    """The same net with as many recurrent parameters as the LSTM has, as nearly as whole units allow."""
    layers: RecurrentLayers = kind.layers_of(hyperparameters)
    cell = hyperparameters.cell  # type: ignore[attr-defined]
    gates, wanted = CELLS[cell].gates, layers.parameters(CELLS[REFERENCE].gates)
    if cell == REFERENCE:
        return hyperparameters

    def distance(hidden_size: int) -> int:
        return abs(kind.layers_of(kind.resized(hyperparameters, hidden_size)).parameters(gates) - wanted)

    hidden_size = 1
    while distance(hidden_size + 1) < distance(hidden_size):
        hidden_size += 1
    return kind.resized(hyperparameters, hidden_size)


def at_rate(arm: Arm, rate: float) -> Arm:
    """The arm of a trial."""
    hyperparameters = replace(arm.hyperparameters, learning_rate=rate)
    return Arm(arm.setting, ("tuning",), hyperparameters, arm.sweep)


def _best(losses: Mapping[float, float]) -> float:
    return min(losses, key=lambda rate: (losses[rate], rate))


def _loss(trials: Sequence[float | None]) -> float:
    """The mean of the trials' validation losses; one that diverged rules a rate out."""
    losses = [loss for loss in trials if loss is not None]
    return mean(losses) if len(losses) == len(trials) else math.inf


def _beyond(end: float, neighbour: float) -> float:
    """The next rate past an end of the list, by the same factor; rounded, so that it can be read."""
    return float(f"{end * end / neighbour:.3g}")
