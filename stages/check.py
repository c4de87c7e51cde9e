"""Refuse parameters that cannot work, before DVC removes any output: `python -m stages.check`."""

from importlib.util import find_spec
from pathlib import Path

from stages.support.files import root, write_text
from stages.support.params import load_params
from stages.support.process import InputError, run_stage
from stages.text.corpora.download import Mirror


def main() -> None:
    """Check all of params.yaml and write a constant: a changed parameter reruns nothing by itself."""
    params = load_params()
    from stages.nn.cells import CELLS  # torch takes a second to import: after the quick checks

    unknown = [cell for cell in params.cells if cell not in CELLS]
    if unknown:
        raise InputError(f"params.yaml: cells: '{unknown[0]}' is not a cell; known are {', '.join(CELLS)}")
    Mirror.chosen(params.mirror, root())
    for study in params.studies:
        if find_spec(f"stages.studies.{study}") is None:
            raise InputError(f"params.yaml: studies: '{study}' has no module stages/studies/{study}.py")
    write_text(Path("data/checked.txt"), "params.yaml is in order\n")


if __name__ == "__main__":
    run_stage(main)
