"""torch's optimizers without its compiler: the same updates, to the bit, and no import of it."""

import subprocess
import sys

import pytest
import torch

from stages.nn import optimizers

SETTINGS = {"Adam": {"lr": 0.01, "eps": 1e-7, "fused": True}, "SGD": {"lr": 0.5}}

TRAIN = """
import sys
import torch
from torch.nn.utils import clip_grad_norm_
from stages.nn import optimizers
model = torch.nn.Linear(3, 2)
for optimizer in (optimizers.Adam(model.parameters(), lr=0.1, fused=True), optimizers.SGD(model.parameters(), lr=0.1)):
    optimizer.load_state_dict(optimizer.state_dict())
    optimizer.zero_grad(set_to_none=True)
    model(torch.ones(4, 3)).square().mean().backward()
    clip_grad_norm_(model.parameters(), 0.25)
    optimizer.step()
print(*(name for name in sys.modules if name.startswith("torch._dynamo")))
"""


@pytest.mark.parametrize("name", SETTINGS)
def test_the_updates_are_torchs_to_the_bit_also_at_another_rate_and_from_a_kept_state(name):
    ends = []
    for library in (optimizers, torch.optim):
        torch.manual_seed(0)
        model = torch.nn.Sequential(torch.nn.Linear(5, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1))
        inputs = torch.randn(6, 8, 5)
        optimizer = getattr(library, name)(model.parameters(), **SETTINGS[name])
        for update, batch in enumerate(inputs):
            if update == 2:
                optimizer.param_groups[0]["lr"] /= 4
            if update == 4:
                kept = optimizer.state_dict()
                optimizer = getattr(library, name)(model.parameters(), lr=1.0, fused=True)
                optimizer.load_state_dict(kept)
            optimizer.zero_grad(set_to_none=True)
            model(batch).square().mean().backward()
            optimizer.step()
        assert all(parameter.requires_grad and parameter.is_leaf for parameter in model.parameters())
        ends.append((*model.parameters(), *(v for state in optimizer.state.values() for _, v in sorted(state.items()))))
    assert len(ends[0]) == len(ends[1])
    for ours, expected in zip(*ends, strict=True):
        assert torch.equal(ours, expected)
    assert isinstance(optimizer, getattr(torch.optim, name))


def test_a_training_does_not_import_torchs_compiler():
    found = subprocess.run([sys.executable, "-c", TRAIN], capture_output=True, text=True, check=True)
    assert found.stdout.split() == []
