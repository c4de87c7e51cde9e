"""Three ways to run the same recurrent layers: the same outputs, the same gradients, different speed.

- `padded`: each direction as a compiled loop over the padded batch. For CPUs.
- `packed`: torch's own kernel, layer by layer, on packed sequences where their lengths differ. For CUDA (cuDNN); slow
  on a CPU, but for the LSTM on sequences of one length (oneDNN).
- `stepwise`: an explicit loop over time and the cell's `step`. The definition that the others are tested against.

A cell without compiled scalars (padded) or without a torch layer (packed) goes step by step under that name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from stages.nn.cells import Cell, State
from stages.nn.dropout import dropout
from stages.nn.loops.padded import can_pad, run_padded

if TYPE_CHECKING:
    from stages.nn.recurrent import Recurrent

Engine = Callable[["Recurrent", Tensor, Tensor | None, State, bool], tuple[Tensor | None, State]]
"""(net, inputs (time, batch, features), lengths (batch,) or None, initial state, whether outputs are wanted) ->
(outputs (time, batch, directions * hidden) or None, final state); a state's tensors are (layers * directions, batch,
hidden).
"""


def engine_for(device_type: str, cell: Cell, one_length: bool = False) -> str:
    """The quickest engine on a `torch.device.type`; `one_length`: no sequence of a batch is ever padded."""
    return "packed" if device_type == "cuda" or (one_length and cell.layer_fused_on_cpu) else "padded"


def _stepwise(
    net: Recurrent, inputs: Tensor, lengths: Tensor | None, state: State, want_outputs: bool
) -> tuple[Tensor | None, State]:
    time = len(inputs)
    lengths = None if lengths is None else lengths.to(inputs.device)
    finals: list[State] = []
    for layer in range(net.layers):
        inputs = dropout(inputs, net.dropout, net.training and layer > 0)
        outputs = []
        for direction in range(net.directions):
            weight_ih, weight_hh, bias_ih, bias_hh = net.weights(layer, direction)
            projections = F.linear(inputs, weight_ih, bias_ih)
            current = tuple(tensor[layer * net.directions + direction] for tensor in state)
            steps = [current[0]] * time
            for t in reversed(range(time)) if direction else range(time):
                following = net.cell.step(projections[t], current, weight_hh, bias_hh)
                if lengths is None:
                    current, steps[t] = following, following[0]
                else:
                    valid = (t < lengths).unsqueeze(1)
                    pairs = zip(following, current, strict=True)
                    current = tuple(torch.where(valid, new, old) for new, old in pairs)
                    steps[t] = torch.where(valid, current[0], 0)
            outputs.append(torch.stack(steps))
            finals.append(current)
        inputs = torch.cat(outputs, -1)
    return inputs, tuple(torch.stack(tensors) for tensors in zip(*finals, strict=True))


def _padded(
    net: Recurrent, inputs: Tensor, lengths: Tensor | None, state: State, want_outputs: bool
) -> tuple[Tensor | None, State]:
    if not can_pad(net.cell) or inputs.device.type != "cpu":
        return _stepwise(net, inputs, lengths, state, want_outputs)
    finals: list[State] = []
    for layer in range(net.layers):
        inputs = dropout(inputs, net.dropout, net.training and layer > 0)
        outputs = []
        for direction in range(net.directions):
            initial = tuple(tensor[layer * net.directions + direction] for tensor in state)
            weights = net.weights(layer, direction)
            output, *final = run_padded(net.cell, inputs, weights, initial, lengths, reverse=bool(direction))
            outputs.append(output)
            finals.append(tuple(final))
        if want_outputs or layer < net.layers - 1:
            inputs = torch.cat(outputs, -1) if len(outputs) > 1 else outputs[0]
    if want_outputs and lengths is not None:
        valid = torch.arange(len(inputs)).unsqueeze(1) < lengths
        inputs = torch.where(valid.unsqueeze(-1), inputs, 0)
    return inputs if want_outputs else None, tuple(torch.stack(tensors) for tensors in zip(*finals, strict=True))


def _packed(
    net: Recurrent, inputs: Tensor, lengths: Tensor | None, state: State, want_outputs: bool
) -> tuple[Tensor | None, State]:
    if net.cell.layer is None:
        return _stepwise(net, inputs, lengths, state, want_outputs)
    # torch.autocast would give cuDNN's layers float16, whatever it was asked for: so that is done here, by hand.
    device = inputs.device.type
    dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else inputs.dtype
    time, inputs, state = len(inputs), inputs.to(dtype), tuple(part.to(dtype) for part in state)
    packed = None if lengths is None else pack_padded_sequence(inputs, lengths.cpu(), enforce_sorted=False)
    inputs = inputs if packed is None else packed.data
    finals: list[State] = []
    with torch.autocast(device, enabled=False):
        for layer in range(net.layers):
            # Masks are drawn here, since cuDNN draws its own from a state that no seed sets back.
            inputs = dropout(inputs, net.dropout, net.training and layer > 0)
            rows = slice(layer * net.directions, (layer + 1) * net.directions)
            initial = tuple(tensor[rows].contiguous() for tensor in state)
            module = net.torch_layer(layer)
            weights = {name: weight.to(dtype) for name, weight in module.named_parameters()}
            sequences = inputs if packed is None else packed._replace(data=inputs)
            outputs, final = functional_call(module, weights, (sequences, initial if len(initial) > 1 else initial[0]))
            finals.append(final if isinstance(final, tuple) else (final,))
            inputs = outputs if packed is None else outputs.data
    if packed is not None and want_outputs:
        inputs = pad_packed_sequence(packed._replace(data=inputs), total_length=time)[0]
    return inputs if want_outputs else None, tuple(torch.cat(tensors) for tensors in zip(*finals, strict=True))


ENGINES: Mapping[str, Engine] = {"padded": _padded, "packed": _packed, "stepwise": _stepwise}
