"""A study of bits in memory: sequences cut to a length, and repeats of one arm trained as one net of replicas."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy

from stages.kinds.bits import Hyperparameters, Split
from stages.nn.keras import start_as_keras
from stages.nn.optimizers import Adam
from stages.nn.replicas import Replicas, sum_of_losses, train_epoch
from stages.support.files import verify
from stages.training.device import to_device
from stages.training.loop import Step
from stages.training.seeds import Purpose, stream_seed

_SEQUENCES_AT_ONCE = 500  # when nothing is learnt from them


class Sequences:
    """Sequences of every length: noise (sequences, longest), memory-mapped, bits and labels."""

    def __init__(self, folder: Path, part: str) -> None:
        self._noise = np.load(folder / f"{part}.noise.npy", mmap_mode="r")
        self._bits = np.load(folder / f"{part}.bits.npy")
        self.labels = torch.from_numpy(np.load(folder / f"{part}.labels.npy").astype(np.int64))

    def of_length(self, length: int) -> Tensor:
        """All sequences cut to a length, (sequences, length): a bit on the first value, and one in the middle."""
        values = np.array(self._noise[:, :length])
        for place, bit in zip((0, length // 2), self._bits.T, strict=False):
            values[:, place] += bit
        return torch.from_numpy(values)


class Data:
    """Training and test sequences, and which of the training ones each protocol trains and validates on."""

    def __init__(self, folder: Path) -> None:
        manifest = verify(folder)
        self.corpus: str = manifest["corpus"]
        self.digest: str = manifest["digest"]
        self.train, self.test = Sequences(folder, "train"), Sequences(folder, "test")
        self.split: dict[str, tuple[NDArray[np.int64], NDArray[np.int64]]] = {
            protocol: (np.load(folder / f"{protocol}.train.npy"), np.load(folder / f"{protocol}.validation.npy"))
            for protocol in get_args(Split)
        }


class Task:
    """Repeats of one arm, trained as one net of replicas."""

    chosen_by = None
    gradient_norm_limit = None

    def __init__(
        self, data: Data, hyperparameters: Hyperparameters, seed: int, repeats: Sequence[int], device: torch.device
    ) -> None:
        self.data, self.device, self._settings = data, device, hyperparameters
        cell = f"{hyperparameters.cell}.keras2" if hyperparameters.keras2 else hyperparameters.cell
        self.model = Replicas(cell, len(repeats), 1, hyperparameters.hidden_size, 2)
        seeds = [stream_seed(seed, repeat, Purpose.WEIGHTS) for repeat in repeats]
        start_as_keras(self.model, [torch.Generator().manual_seed(s) for s in seeds])
        self.model.to(device)
        rate, epsilon = hyperparameters.learning_rate, 1e-7 if hyperparameters.keras2 else 1e-8
        self.optimizer = Adam(self.model.parameters(), lr=rate, eps=epsilon, fused=True)
        self.engine = self.model.engine
        self._train, self._validation = data.split[hyperparameters.split]
        self._sequences = data.train.of_length(hyperparameters.length)
        self.train_items = len(self._train)
        self.train_tokens = len(self._train) * hyperparameters.length * len(repeats)

    def batches(self, orders: Sequence[np.random.Generator]) -> Iterator[tuple[Tensor, Tensor]]:
        """One epoch: sequences (time, repeats, batch, 1) and labels (repeats, batch), each repeat in its own order."""
        shuffled = np.stack([order.permutation(self._train) for order in orders])
        for start in range(0, len(self._train), self._settings.batch_size):
            chosen = torch.from_numpy(shuffled[:, start : start + self._settings.batch_size])
            yield self._sequences[chosen].permute(2, 0, 1).unsqueeze(-1), self.data.train.labels[chosen]

    def step(self, batch: tuple[Tensor, Tensor]) -> Step:
        """Each repeat's mean cross-entropy of a batch (nats a sequence), and how many it got right."""
        sequences, labels = to_device(self.device, *batch)
        outputs = self.model.last(sequences)
        items = labels.shape[1]
        losses = cross_entropy(outputs.flatten(0, 1), labels.flatten(), reduction="none").view(labels.shape)
        correct = (outputs[..., 1] > outputs[..., 0]) == (labels == 1)
        loss = losses.mean(1)
        return Step(loss, {"loss": loss.detach() * items, "accuracy": correct.sum(1)}, items)

    def train_epoch(self, orders: Sequence[np.random.Generator]) -> Step | None:
        """One epoch as `batches` and `step` have it, in compiled code where there is some."""
        if not self.model.compiled:
            return None
        shuffled = np.stack([order.permutation(self._train) for order in orders])
        inputs, labels = self._sequences.unsqueeze(-1), self.data.train.labels
        losses, correct = train_epoch(self.model, self.optimizer, inputs, labels, shuffled, self._settings.batch_size)
        sums = {"loss": sum_of_losses(losses, shuffled.shape[1], self._settings.batch_size), "accuracy": correct}
        return Step(torch.from_numpy(losses), {k: torch.from_numpy(v) for k, v in sums.items()}, shuffled.shape[1])

    def after_epoch(self, improved: bool) -> None:
        """Nothing changes between epochs."""

    def validate(self) -> list[dict[str, float]]:
        """Each repeat's loss (nats a sequence) and accuracy (a share) on its protocol's validation sequences."""
        chosen = torch.from_numpy(self._validation)
        return self._score(self._sequences[chosen], self.data.train.labels[chosen])

    def test(self) -> list[dict[str, Any]]:
        """Each repeat's loss and accuracy on fresh sequences."""
        return self._score(self.data.test.of_length(self._settings.length), self.data.test.labels)

    @torch.no_grad()
    def _score(self, sequences: Tensor, labels: Tensor) -> list[dict[str, float]]:
        self.model.eval()
        repeats = self.model.replicas
        losses = torch.zeros(repeats, dtype=torch.float64)
        correct = torch.zeros(repeats, dtype=torch.float64)
        for start in range(0, len(labels), _SEQUENCES_AT_ONCE):
            part = sequences[start : start + _SEQUENCES_AT_ONCE].t()[:, None, :, None].expand(-1, repeats, -1, -1)
            wanted = labels[start : start + _SEQUENCES_AT_ONCE].expand(repeats, -1)
            outputs = self.model.last(part.to(self.device)).double().cpu()
            losses += cross_entropy(outputs.flatten(0, 1), wanted.flatten(), reduction="none").view(wanted.shape).sum(1)
            correct += ((outputs[..., 1] > outputs[..., 0]) == (wanted == 1)).sum(1)
        pairs = zip((losses / len(labels)).tolist(), (correct / len(labels)).tolist(), strict=True)
        return [{"loss": loss, "accuracy": accuracy} for loss, accuracy in pairs]
