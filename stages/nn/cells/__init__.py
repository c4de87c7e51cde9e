"""The recurrent cells: a module each, found by its file's name. Nothing else in the code base branches on a name.

A module NAME.py defines `CELL`: to add a cell is to add a file. A cell is imported when it is first asked for, so that
nothing depends on another cell's file, and listing the names takes neither torch nor Numba.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from torch import Tensor, nn

    State: TypeAlias = tuple[Tensor, ...]
else:
    State = tuple
"""A cell's state tensors; the first is also its output."""

ORDER = ("rnn", "lstm", "gru")
"""The order in which these are listed; others follow by name."""


@dataclass(frozen=True)
class Scalars:
    """A cell's step and its gradient by hand for one unit of one sequence: compiled functions of tuples of numbers.

    `stages.nn.loops` makes loops of them that run through a padded batch, and that train replicas. A block is a gate's
    or the candidate's; what `forward` keeps for `backward` begins with a number a block.
    """

    forward: Callable[..., Any]
    """(state, pre-activations) -> (next state, kept).

    With `product_apart`: (state, projections, products). With `reset`: (state, what `reset` kept, pre-activations of
    the blocks after the first ones) -> (next state, kept, but for what `reset` kept).
    """

    backward: Callable[..., Any]
    """(gradients of the next state, state, kept) -> (gradients of the pre-activations, of the state past products).

    With `product_apart`: (of the projections, of the products, of the state).
    """

    kept_more: int = 0
    """Numbers that are kept beyond one a block."""

    product_apart: bool = False
    """The recurrent product does not simply add to the projection: each has its own bias and gradient."""

    reset: Callable[..., Any] | None = None
    """For a cell with a second product in a step: (state, pre-activations of the first blocks) -> (kept of them, what
    the other blocks' weight_hh multiplies in h's place)."""

    reset_backward: Callable[..., Any] | None = None
    """(gradient of what `reset` made, state, kept, gradients of the pre-activations of the first blocks as `backward`
    gave them) -> (those gradients whole, what comes to the state's first gradient)."""

    reset_blocks: int = 0
    """How many the first blocks are."""


@dataclass(frozen=True)
class Cell:
    """One recurrent cell. `step` defines it; `layer` and `scalars` are faster ways to the same numbers."""

    name: str
    gates: int
    """Blocks of `hidden` rows in weight_ih, weight_hh and the two biases."""
    states: int
    """State tensors carried from step to step: 1 (h) or 2 (h, c)."""
    step: Callable[[Tensor, State, Tensor, Tensor], State]
    """(input's projection with bias_ih (batch, gates * hidden), state, weight_hh, bias_hh) -> next state."""
    layer: Callable[..., nn.RNNBase] | None = None
    """torch's layer, for the `packed` engine; None: that engine goes step by step."""
    layer_fused_on_cpu: bool = False
    """Where no sequence is padded, that layer is oneDNN's on a CPU, and quicker than the compiled loop."""
    scalars: Scalars | None = None
    """For the compiled loops on a CPU; None: step by step under autograd."""
    recurrent_bias: bool = True
    """bias_hh does what bias_ih cannot; False: the two only add, and Keras has one."""
    forget_gate: int | None = None
    """The block whose bias Keras starts at 1."""
    keras2: Cell | None = None
    """The cell that Keras 2.1 has under this name; None: the same."""


class _Cells(Mapping[str, Cell]):
    """The modules of this package, by name; NAME.keras2 is a cell's variant."""

    def __iter__(self) -> Iterator[str]:
        found = {path.stem for path in Path(__file__).parent.glob("[!_]*.py")}
        yield from (name for name in ORDER if name in found)
        yield from sorted(found.difference(ORDER))

    def __len__(self) -> int:
        return len(list(iter(self)))

    def __contains__(self, name: object) -> bool:
        return name in list(self)

    def __getitem__(self, name: str) -> Cell:
        plain, dot, variant = name.partition(".")
        if plain not in self or (dot and variant != "keras2"):
            raise KeyError(name)
        cell: Cell = import_module(f"{__name__}.{plain}").CELL
        return cell.keras2 or cell if variant else cell


CELLS: Mapping[str, Cell] = _Cells()
