"""torch's optimizers, which update as torch's do but leave its compiler alone.

Every optimizer of torch imports torch.compile's modules when it is made, so that compiled code can go round it. Nothing
is compiled by torch here, and that import takes longer than many a training of the sample run.
"""

from typing import TYPE_CHECKING, Any

import torch

_UNCOMPILED = ("add_param_group", "state_dict", "load_state_dict", "zero_grad")

if TYPE_CHECKING:
    from torch.optim import SGD, Adam
else:

    def _uncompiled(optimizer: type[torch.optim.Optimizer]) -> type[torch.optim.Optimizer]:
        """`optimizer` with its own methods in place of those that torch wraps for its compiler."""
        methods: dict[str, Any] = {name: getattr(optimizer, name).__wrapped__ for name in _UNCOMPILED}
        return type(optimizer.__name__, (optimizer,), methods | {"step": torch.no_grad()(optimizer.step.__wrapped__)})

    Adam, SGD = _uncompiled(torch.optim.Adam), _uncompiled(torch.optim.SGD)

__all__ = ["SGD", "Adam"]
