"""How long a study would train on this machine, and what is cut where that is more than a person has time for."""

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

from stages import kinds
from stages.support.params import Project
from stages.support.sections import parse_repeats
from stages.training.seeds import order_generator
from stages.training.tuning import EXTENSIONS

_LEAST_SECONDS_OF_TIMING, _SECONDS_OF_TIMING = 2.0, 20.0
_STAGES_OF_A_CELL = 2
_OTHER_STAGES = 3
"""Baseline, headline and compare; what comes before them is over when an epoch is timed."""
_FINAL_REPEATS = (5, 3)
_FEWEST_RATES = 3
_FEWEST_EPOCHS = 2


@dataclass(frozen=True)
class Plan:
    """What is trained of each cell: how many rates in how many repeats, fresh repeats at the best, epochs of each."""

    rates: int
    trial_repeats: int
    final_repeats: int
    epochs: int

    def rounds(self, at_once: int) -> int:
        """How many times so many trainings of one cell run side by side, at the most.

        With every rate that may be added to the list, and an arm more at equal size; each waits for those before it.
        """
        together = (self.rates * self.trial_repeats, *[self.trial_repeats] * EXTENSIONS, 2 * self.final_repeats)
        return sum(math.ceil(trainings / at_once) for trainings in together)


@dataclass(frozen=True)
class Cost:
    """What trains: how many cells, and how many trainings at once; and what was timed, as busy as the machine was.

    `epoch_seconds`: of the LSTM, the slowest, beside as many others as train at once; `start_seconds`: until a process
    has its libraries, its data and what is compiled.
    """

    cells: int
    epoch_seconds: float
    at_once: int
    start_seconds: float

    def minutes(self, plan: Plan) -> float:
        """What a plan takes at the most, stages that do not train included."""
        training = plan.rounds(self.at_once) * plan.epochs * self.epoch_seconds
        stages = self.cells * _STAGES_OF_A_CELL + _OTHER_STAGES
        return (self.cells * training + stages * self.start_seconds) / 60


def kept_to(budget: float, plan: Plan, cost: Cost) -> Plan:
    """The plan with as much cut as a budget in minutes asks for, in this order.

    Final repeats, to 5 and to 3; rates, to 3; epochs, to no fewer than 2. What is left may still take longer.
    """
    plans = list(_smaller(plan))
    return next((fewer for fewer in plans if cost.minutes(fewer) <= budget), plans[-1])


def _smaller(plan: Plan) -> Iterator[Plan]:
    """The plan, and ever smaller ones."""
    yield plan
    for final_repeats in _FINAL_REPEATS:
        if final_repeats < plan.final_repeats:
            plan = replace(plan, final_repeats=final_repeats)
            yield plan
    if plan.rates > _FEWEST_RATES:
        plan = replace(plan, rates=_FEWEST_RATES)
        yield plan
    for epochs in range(plan.epochs - 1, _FEWEST_EPOCHS - 1, -1):
        yield replace(plan, epochs=epochs)


def plan_of(training: dict[str, Any]) -> Plan:
    """The plan of a section `training` of params.yaml."""
    tuning = training["tuning"]
    return Plan(
        len(tuning["learning_rates"]),
        len(parse_repeats(tuning["repeats"])),
        len(parse_repeats(tuning["final_repeats"])),
        max(place["epochs"] for place in _with_epochs(training)),
    )


def apply(plan: Plan, training: dict[str, Any]) -> list[str]:
    """Cut a section `training` down to a plan; says what was cut."""
    before, tuning, cut = plan_of(training), training["tuning"], []
    if plan.final_repeats < before.final_repeats:
        first = parse_repeats(tuning["final_repeats"])[0]
        tuning["final_repeats"] = f"{first}-{first + plan.final_repeats - 1}"
        cut.append(f"final repeats from {before.final_repeats} to {plan.final_repeats}")
    if plan.rates < before.rates:
        tuning["learning_rates"] = tuning["learning_rates"][1 : 1 + plan.rates]
        cut.append(f"learning rates from {before.rates} to {plan.rates}")
    if plan.epochs < before.epochs:
        for place in _with_epochs(training):
            place["epochs"] = min(place["epochs"], plan.epochs)
        cut.append(f"epochs from {before.epochs} to {plan.epochs}")
    return cut


def _with_epochs(training: dict[str, Any]) -> Sequence[dict[str, Any]]:
    """The mappings of a section that name epochs: its own, or one a net that is trained."""
    return [training] if "epochs" in training else [training[model] for model in training["models"]]


def cost_of(study: str, project: Project) -> Cost:
    """What the training of a study, whose data are ready, costs on this machine, busy as it is now.

    As many LSTMs as are to train at once are timed side by side for some seconds, after what is compiled at the first
    batch; of a longer epoch the rest is extrapolated. Where processes share a training, one is timed alone.
    """
    began = time.monotonic()
    from stages.training.parallel import run_parallel  # a stage waits as long for torch
    from stages.training.repeats import jobs_at_once

    shared = project.params.processes > 1 and kinds.kind(project.settings(study).kind).SHARES_BATCHES
    at_once = 1 if shared else jobs_at_once(project.params.jobs, project.params.device)
    timed = run_parallel(_time_nets, [(study, project)] * at_once, at_once)
    epoch_seconds, timing_seconds = (max(seconds) for seconds in zip(*timed, strict=True))
    return Cost(len(project.params.cells), epoch_seconds, at_once, time.monotonic() - began - timing_seconds)


def _time_nets(study: str, project: Project) -> tuple[float, float]:
    """Seconds of an epoch of each of the LSTMs, training and validation, and those that the timing took."""
    from stages.training.device import prepare

    settings = project.settings(study)
    module = kinds.task_module(settings.kind)
    data, where = module.Data(Path("data/ready", study)), prepare(project.params.device, project.params.threads)
    nets = kinds.kind(settings.kind).settings("lstm", settings.training).values()
    timed = [_time(module.Task(data, net, 0, [0], where)) for net in nets]
    return sum(epoch for epoch, _ in timed), sum(spent for _, spent in timed)


def _time(task: Any) -> tuple[float, float]:  # noqa: ANN401 - a task of any kind
    from stages.training.loop import update

    task.model.train()
    update(task, next(iter(task.batches([order_generator(0, 0, 0)]))))
    items, began = 0, time.monotonic()
    for epoch in count(1):
        for batch in task.batches([order_generator(0, 0, epoch)]):
            items += update(task, batch).items
            if time.monotonic() - began > _SECONDS_OF_TIMING:
                break
        spent = time.monotonic() - began
        if (items >= 3 * task.train_items and spent > _LEAST_SECONDS_OF_TIMING) or spent > _SECONDS_OF_TIMING:
            break
    # A validation text is read forwards alone, and there are fewer: a third of training's time is more than enough.
    return spent * int(task.train_items) / items * 4 / 3, spent
