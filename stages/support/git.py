"""Git, asked in a way that the user's own settings do not change."""

import os
import subprocess
from pathlib import Path


def git(*words: str) -> str:
    """What Git prints, in English and without colours.

    Raises:
        subprocess.CalledProcessError: Git refuses, such as outside of any repository.
        OSError: there is no Git.
    """
    command = ["git", "-c", "color.ui=false", "-c", "core.quotePath=false", *words]
    environment = os.environ | {"LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0"}
    return subprocess.run(
        command, env=environment, check=True, capture_output=True, encoding="utf-8", errors="surrogateescape"
    ).stdout


def path_from_top(path: Path) -> str:
    """How Git and `dvc.api` call a file of this project, which may lie in a folder of a larger repository."""
    return git("rev-parse", "--show-prefix").removesuffix("\n") + str(path)


def lock_files() -> list[Path]:
    """The lock files that Git's programs leave where they are killed; all of the repository and of its refs."""
    words = ["rev-parse", "--path-format=absolute", "--git-dir", "--git-common-dir"]
    folders = {Path(line) for line in git(*words).splitlines()}
    return sorted({lock for folder in folders for lock in (*folder.glob("*.lock"), *folder.glob("refs/**/*.lock"))})
