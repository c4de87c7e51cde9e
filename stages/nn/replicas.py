"""Independent small nets trained as one: repeats of a study that cost little more together than one alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from stages.nn import optimizers
from stages.nn.cells import CELLS, Cell
from stages.nn.loops import replicas as compiled_replicas

ENGINES = ("kernel", "stepwise")


class Replicas(nn.Module):
    """`replicas` nets of one recurrent layer and a linear output; every parameter has a leading axis of replicas.

    No number of one replica enters another: under an optimizer that works element by element, a replica ends with
    the weights that it gets alone. The state starts at zero. `bias_hh` stays zero and untrained in the cells where
    it only adds to `bias_ih`, so that parameters are counted as Keras counts them.

    Engines: `kernel` has compiled loops on a CPU, for outputs of which no gradient is asked and for `train_epoch`;
    `stepwise` runs the cell's `step` under autograd, the definition that those are tested against. Where the cell has
    no scalars, on another device, or where autograd is asked for gradients, either name means step by step.

    The weights are left as torch's `empty` gives them: a kind's model starts them.
    """

    def __init__(
        self,
        cell: str | Cell,
        replicas: int,
        input_size: int,
        hidden_size: int,
        output_size: int,
        engine: str = "kernel",
    ) -> None:
        """Make the parameters of `replicas` nets of a cell, or of that of CELLS by its name, `hidden_size` units each.

        Raises:
            KeyError: an unknown cell.
            ValueError: an unknown engine.
        """
        if engine not in ENGINES:
            raise ValueError(f"engine {engine!r}: allowed are {', '.join(ENGINES)}")
        super().__init__()
        self.cell, self.engine = CELLS[cell] if isinstance(cell, str) else cell, engine
        self.replicas, self.hidden_size = replicas, hidden_size
        self.input_size, self.output_size = input_size, output_size
        rows = self.cell.gates * hidden_size
        self.weight_ih = nn.Parameter(torch.empty(replicas, rows, input_size))
        self.weight_hh = nn.Parameter(torch.empty(replicas, rows, hidden_size))
        self.bias_ih = nn.Parameter(torch.empty(replicas, rows))
        self.bias_hh = nn.Parameter(torch.zeros(replicas, rows), requires_grad=self.cell.recurrent_bias)
        self.output_weight = nn.Parameter(torch.empty(replicas, output_size, hidden_size))
        self.output_bias = nn.Parameter(torch.empty(replicas, output_size))

    def forward(self, inputs: Tensor) -> Tensor:
        """Outputs at every step, (time, replicas, batch, output), from inputs (time, replicas, batch, input)."""
        return self._outputs(inputs, len(inputs))

    def last(self, inputs: Tensor) -> Tensor:
        """Outputs at the last step only, (replicas, batch, output), from inputs (time, replicas, batch, input)."""
        return self._outputs(inputs, 1).squeeze(0)

    @property
    def compiled(self) -> bool:
        """Whether compiled loops stand for the cell on the device where the weights are."""
        return self.engine == "kernel" and self.cell.scalars is not None and self.weight_hh.device.type == "cpu"

    def extra_repr(self) -> str:
        """The arguments, for print(model)."""
        return (
            f"{self.cell.name}, replicas={self.replicas}, {self.input_size}, {self.hidden_size}, {self.output_size}, "
            f"engine={self.engine}"
        )

    def _outputs(self, inputs: Tensor, steps: int) -> Tensor:
        """Outputs of the last `steps` steps, (steps, replicas, batch, output)."""
        if self.compiled and not torch.is_grad_enabled():
            assert self.cell.scalars is not None
            results = inputs.new_empty(steps, *inputs.shape[1:3], self.output_size)
            loops = compiled_replicas.loops(self.cell.scalars, self.cell.gates, self.cell.states)
            loops.outputs(
                inputs.contiguous().numpy(), *(_joined(parts).numpy() for parts in self._parts()), results.numpy()
            )
            return results
        hidden = self._hidden(inputs, steps).flatten(2, 3)
        outputs = torch.baddbmm(self.output_bias.unsqueeze(1), hidden.mT, self.output_weight.mT)
        return outputs.view(self.replicas, steps, -1, self.output_size).transpose(0, 1)

    def _hidden(self, inputs: Tensor, steps: int) -> Tensor:
        """The hidden states of the last `steps` steps, (replicas, hidden, steps, batch)."""
        step = torch.vmap(self.cell.step)
        state = (inputs.new_zeros(*inputs.shape[1:3], self.hidden_size),) * self.cell.states
        hidden = []
        for projection in inputs @ self.weight_ih.mT + self.bias_ih.unsqueeze(1):
            state = step(projection, state, self.weight_hh, self.bias_hh)
            hidden.append(state[0])
        return torch.stack(hidden[-steps:]).permute(1, 3, 0, 2)

    def _parts(self) -> tuple[list[Tensor], list[Tensor]]:
        """The parameters of each matrix of the compiled loops, in its columns' order."""
        return (
            [self.weight_ih, self.bias_ih, self.bias_hh, self.weight_hh],
            [self.output_bias, self.output_weight],
        )


def _joined(parts: Sequence[Tensor]) -> Tensor:
    """Matrices and vectors of each replica side by side: (replicas, rows, columns)."""
    return torch.cat([part.detach() if part.dim() == 3 else part.detach().unsqueeze(2) for part in parts], 2)


def _part(parts: Sequence[Tensor], joined: Tensor) -> None:
    """Put the numbers of `_joined` back."""
    for part, values in zip(parts, torch.split(joined, [part[0, 0].numel() for part in parts], 2), strict=True):
        part.detach().copy_(values.view(part.shape))


@torch.no_grad()
def train_epoch(
    model: Replicas,
    optimizer: torch.optim.Optimizer,
    inputs: Tensor,
    targets: Tensor,
    orders: NDArray[np.int64],
    batch_size: int,
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """One epoch of updates of a model that is `compiled`, in one call that does what torch would, to float rounding.

    The optimizer's state is read and left as torch's own steps would leave it, so that either can go on.

    Args:
        model: the replicas, on a CPU.
        optimizer: torch's SGD without momentum or Adam, over the model's parameters, with no weight decay.
        inputs: (items, time, input), of the weights' type.
        targets: classes (items,) int64 for the mean cross-entropy at the last step, or numbers (items, time, output)
            for the squared error, a mean over steps, items of a batch and outputs.
        orders: (replicas, items of an epoch): each replica's items, batch after batch.
        batch_size: items of a batch; the last may have fewer.

    Returns:
        The batches' losses, (updates, replicas), as the weights stood then, and how many items each replica
        classified right, (replicas,).

    Raises:
        ValueError: another optimizer, or settings of it that the loops do not have.
    """
    (group,) = optimizer.param_groups
    adam = type(optimizer) in (torch.optim.Adam, optimizers.Adam)
    unknown = [name for name in ("momentum", "weight_decay", "amsgrad", "maximize", "nesterov") if group.get(name)]
    if unknown or not (adam or type(optimizer) in (torch.optim.SGD, optimizers.SGD)):
        raise ValueError(f"{type(optimizer).__name__} {' '.join(unknown)}: allowed are plain SGD and Adam")
    parts = model._parts()
    weights = [_joined(part) for part in parts]
    names = ("exp_avg", "exp_avg_sq")
    moments, done = [matrix.new_empty(model.replicas, 0, 0) for matrix in (*weights, *weights)], 0
    if adam:
        state_of = {parameter: _adam_state(optimizer, parameter) for parameter in group["params"]}
        states = [[state_of[parameter] for parameter in part] for part in parts]
        done = int(states[0][0]["step"])
        moments = [_joined([state[name] for state in part]) for part in states for name in names]
    updates, real = -(-orders.shape[1] // batch_size), weights[0].numpy().dtype
    if adam:
        factors = compiled_replicas.adam(updates, done, group["lr"], group["betas"], group["eps"], real)
    else:
        factors = compiled_replicas.descent(updates, group["lr"], real)
    losses = np.empty((updates, model.replicas), real)
    correct = np.zeros(model.replicas, np.int64)
    assert model.cell.scalars is not None
    loops = compiled_replicas.loops(model.cell.scalars, model.cell.gates, model.cell.states)
    (loops.classify if targets.dim() == 1 else loops.regress)(
        inputs.contiguous().numpy(),
        targets.contiguous().numpy(),
        np.ascontiguousarray(orders),
        batch_size,
        *(matrix.numpy() for matrix in weights),
        tuple(moment.numpy() for moment in moments),
        model.bias_hh.requires_grad,
        factors,
        losses,
        correct,
    )
    for part, matrix in zip(parts, weights, strict=True):
        _part(part, matrix)
    if adam:
        for index, name in enumerate(names):
            for group_states, matrix in zip(states, moments[index::2], strict=True):
                _part([state[name] for state in group_states], matrix)
        for state in state_of.values():
            state["step"].fill_(done + updates)
    return losses, correct


def sum_of_losses(losses: NDArray[Any], items: int, batch_size: int) -> NDArray[np.float64]:
    """Each replica's sum over an epoch's items, (replicas,), from the batches' means that `train_epoch` gives."""
    counts = np.diff([*range(0, items, batch_size), items])
    total: NDArray[np.float64] = (losses.astype(np.float64) * counts[:, None]).sum(0)
    return total


def _adam_state(optimizer: torch.optim.Optimizer, parameter: Tensor) -> dict[str, Tensor]:
    """A parameter's state, made as Adam's first step would; one that is not trained has none that is kept."""
    zeros = {
        "step": torch.tensor(0.0),
        "exp_avg": torch.zeros_like(parameter),
        "exp_avg_sq": torch.zeros_like(parameter),
    }
    if not parameter.requires_grad:
        return zeros
    if not optimizer.state[parameter]:
        optimizer.state[parameter].update(zeros)
    return optimizer.state[parameter]  # type: ignore[no-any-return]
