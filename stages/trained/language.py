"""Text from the trained model of a language-model study: a prompt, and what follows it."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from stages.kinds.language_model.model import LanguageModel
from stages.support.process import InputError
from stages.text.tokens.ptb import END
from stages.text.tokens.vocabulary import UNKNOWN
from stages.trained.weights import load_weights, read_vocabulary


class WordModel:
    """A trained model on a CPU, with its vocabulary of words or of characters."""

    def __init__(
        self, hyperparameters: Mapping[str, Any], weights: Path, vocabulary: Path, ready: Mapping[str, Any]
    ) -> None:
        """Load it; `hyperparameters` are those of `stages.kinds.language_model`, as a mapping.

        `ready` is the manifest of the data that it was trained on, of which the unit matters.

        Raises:
            InputError: the weights are damaged, or another model's.
        """
        unit = ready.get("unit", "words")
        self.numbers = read_vocabulary(vocabulary, unit)
        self.words = list(self.numbers)
        self.of_characters = unit == "characters"
        self._end = "\n" if self.of_characters else END
        names = ("cell", "embedding_size", "hidden_size", "layers", "dropout", "tied")
        self.model = LanguageModel(vocabulary_size=len(self.words), **{name: hyperparameters[name] for name in names})
        load_weights(self.model, weights)

    def encode(self, prompt: str) -> tuple[list[int], list[str]]:
        """A prompt's token numbers, and its unknown words, once each, which stand there as <unk>.

        The corpus is in lower case but for a few marks: a word that is unknown as written is looked up in lower case.
        A line break ends a sentence, and the prompt begins one. Characters are taken as they are.

        Raises:
            InputError: a word is unknown, and the vocabulary has no <unk>.
        """
        numbers, unknown = [self.numbers.get(self._end, 0)], []
        for word in self._parted(prompt):
            number = self.numbers.get(word, -1 if self.of_characters else self.numbers.get(word.lower(), -1))
            if number < 0:
                unknown.append(word)
                if UNKNOWN not in self.numbers:
                    raise InputError(f"prompt: {word[:60]!r} is no word of the model, and it has no {UNKNOWN} for such")
                number = self.numbers[UNKNOWN]
            numbers.append(number)
        return numbers, list(dict.fromkeys(unknown))

    def _parted(self, prompt: str) -> list[str]:
        if self.of_characters:
            return list(prompt)
        return prompt.replace("\n", f" {END} ").split()

    def text(self, numbers: Sequence[int]) -> str:
        """What token numbers say; the end of a sentence is a line break."""
        tokens = [self.words[number] for number in numbers]
        if self.of_characters:
            return "".join(tokens)
        return re.sub(rf" ?{END} ?", "\n", " ".join(tokens))

    @torch.no_grad()
    def sample(
        self,
        prompt: Sequence[int],
        tokens: int,
        temperature: float,
        generator: torch.Generator,
        without_unknown: bool = False,
    ) -> Iterator[int]:
        """Draw `tokens` words after a prompt, one at a time; the state starts at zeros and is carried on.

        Args:
            prompt: token numbers, at least one.
            tokens: how many words to draw.
            temperature: the logits are divided by it; 0 always takes the likeliest word.
            generator: decides every draw.
            without_unknown: never draw <unk>.
        """
        logits, state = self.model(torch.tensor(prompt)[:, None])
        for _ in range(tokens):
            scores = logits[-1, 0].double()
            if without_unknown and UNKNOWN in self.numbers:
                scores[self.numbers[UNKNOWN]] = -torch.inf
            word = draw(scores, temperature, generator)
            yield word
            logits, state = self.model(torch.tensor([[word]]), state)


def draw(logits: Tensor, temperature: float, generator: torch.Generator) -> int:
    """Draw from the softmax of `logits` / `temperature`, (words,) in float64; at 0, the largest (the first of equals).

    Raises:
        ValueError: a negative or infinite temperature.
    """
    if not 0 <= temperature < float("inf"):
        raise ValueError(f"temperature {temperature}: allowed is 0 or more")
    if temperature == 0:
        return int(logits.argmax())
    # The largest is subtracted first: divided by a tiny temperature, logits overflow, but differences become -inf.
    probabilities = torch.softmax((logits - logits.max()) / temperature, 0)
    return int(torch.multinomial(probabilities, 1, generator=generator))
