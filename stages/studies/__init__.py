"""Studies: what a document claims and publishes, and the arms that follow from it.

A study is a section of params.yaml; one that a document is behind also has stages/studies/NAME.yaml:

    title: the study's question. document: the document's own title, address and id.
    cells: the recurrent cells that the document has: no other has an arm `published`.
    arms: by heading (`published`, `corrected`, `what_if`), and in it by cell or for `all`: the hyperparameters that
      differ from params.yaml's, flaws included.
    variants: by name what changes in the corrected protocol of the first setting, to see what a score hangs on:
      settings of this project's own, never published, and tuned where `training.tuning.settings` names them.
      `training.variants` in params.yaml: those to train.
    scores, curve, sweep, closed_loop, landscape: what differs from the kind's own (`Kind.DOCUMENT`). The first score
      decides. Of a score: `from`, where a repeat has it, as part.name (default: test.SCORE); `published_from`: the
      published protocol's, averaged the document's own way; `at_least`: the score is whether a repeat reaches this,
      and its mean a share; `logarithmic`: repeats are averaged as logarithms (a perplexity's is its loss), so that no
      interval goes below 0; `bounded`: repeats lie in [0, 1], often in two heaps, so that the interval is a
      bootstrap's; `heaps`: so may the logarithms of a score lie; `margin`: up to where a difference does not matter,
      in points or as a factor; `chance`: what guessing gets; `axis_ends`: no axis goes beyond, since nothing is learnt
      there, and what does is written at its end. `sweep`: the hyperparameter that a study's settings are the values of.
    protocol: the hyperparameters that the document fixes: of every setting (''), and of one; a run that left one is
      labelled custom. On sample text models are scaled down on purpose: there only `layers`, `dropout` and `precision`
      count.
    published: the document's figures. flaws, differs: its flaws, and where this project departs from it.
    claims: what it claims, as hypotheses that repeats can support, contradict or leave open; the rules are explained
      in claims.md beside this file.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from stages.kinds import Kind
from stages.support.files import parse_yaml
from stages.support.process import InputError
from stages.support.sections import Heading

_FOLDER = Path(__file__).parent


def no_setting(key: str, name: str, known: Iterable[str]) -> InputError:
    """The refusal of a name that params.yaml has under `key`, and a study among its settings has not."""
    return InputError(f"params.yaml: {key}: '{name}' is not one of {', '.join(filter(None, known)) or 'none here'}")


@dataclass(frozen=True)
class Arm:
    """One setting of a study's own grid under one heading, or under both where no correction changes it.

    `hyperparameters` is an instance of the kind's own dataclass. `sweep` names the one of them whose values, as
    whole numbers, the settings are, where the study asks how scores depend on it: the arms of a sweep are one curve.
    """

    setting: str
    protocols: tuple[Heading, ...]
    hyperparameters: Any
    sweep: str = ""

    @property
    def slug(self) -> str:
        """The arm's name in file names and runs: `published`, or `basic-published` where there is a grid."""
        rate = f"{self.hyperparameters.learning_rate:g}" if self.protocols[0] == "tuning" else ""
        return "-".join(part for part in (self.setting, self.protocols[0], rate) if part)


@cache
def document(study: str) -> dict[str, Any] | None:
    """What stages/studies/STUDY.yaml says; None for a study that no document is behind."""
    path = _FOLDER / f"{study}.yaml"
    return parse_yaml(path.read_text(encoding="utf-8")) if path.exists() else None


def described(study: str, kind: Kind) -> dict[str, Any]:
    """A study as tables and figures show it: what its file says, and else what its kind does."""
    own: dict[str, Any] = {"title": study, "document": None, "variants": {}, "protocol": {}, "published": []}
    own |= {"flaws": [], "differs": [], "claims": []}
    return own | dict(kind.DOCUMENT) | (document(study) or {})


def documented() -> list[str]:
    """The studies that a document is behind."""
    return sorted(path.stem for path in _FOLDER.glob("*.yaml"))


def arms(
    study: str,
    kind: Kind,
    cell: str,
    training: Any,  # noqa: ANN401 - of the kind
    headings: Sequence[Heading] = ("published", "corrected"),
) -> list[Arm]:
    """The arms of a cell: every setting of the study's grid under each of the headings, equal ones once.

    `tuned` and `equal_size` are not among them: they follow from trials (`stages.training.tuning`).

    Raises:
        InputError: a variant or a setting that the study does not have.
    """
    about = document(study) or {}
    sweep = about.get("sweep", kind.DOCUMENT.get("sweep", {})).get("hyperparameter", "")
    found = []
    for setting, base in kind.settings(cell, training).items():
        under: dict[Any, list[Heading]] = {}
        for heading in headings:
            changes: Mapping[str, Any] = about.get("arms", {}).get(heading, {})
            if (
                heading == "corrected"
                or (heading == "published" and cell in about.get("cells", ()))
                or (heading == "what_if" and changes)
            ):
                changed = replace(base, **changes.get("all", {}), **changes.get(cell, {}))
                under.setdefault(changed, []).append(heading)
        found += [Arm(setting, tuple(names), changed, sweep) for changed, names in under.items()]
    if "corrected" in headings and training.variants:
        known, base = about.get("variants", {}), next(arm for arm in found if "corrected" in arm.protocols)
        if unknown := [name for name in training.variants if name not in known]:
            raise no_setting(f"{study}.training.variants", unknown[0], known)
        for name in training.variants:
            found.append(Arm(name, ("corrected",), replace(base.hyperparameters, **known[name])))
    if training.settings:
        settings = {arm.setting for arm in found}
        if unknown := [name for name in training.settings if name not in settings]:
            raise no_setting(f"{study}.training.settings", unknown[0], sorted(settings))
        found = [arm for arm in found if arm.setting in training.settings]
    return found
