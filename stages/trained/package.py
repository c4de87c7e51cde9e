"""The code that a registered model carries, under a name of its own.

A service that loads the model may have a package called `stages` itself, or may load two models of different code.
"""

import re
from pathlib import Path

from stages.support.files import digest, write_text

_STAGES = Path(__file__).parents[1]
_IMPORT = re.compile(r"^(\s*(?:from|import) )stages\b", re.M)


def copy_code(folder: Path) -> str:
    """Copy this project's modules into a package in `folder`; returns its name, which the code decides."""
    sources = {
        str(path.relative_to(_STAGES)): path.read_text(encoding="utf-8") for path in sorted(_STAGES.rglob("*.py"))
    }
    name = f"lstm_vs_gru_{digest(sources)[:12]}"
    for path, source in sources.items():
        write_text(folder / name / path, _IMPORT.sub(rf"\g<1>{name}", source))
    return name
