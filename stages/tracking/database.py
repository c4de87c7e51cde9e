"""The sqlite file that MLflow's store is where its user names no other: made whole, and found again after a move."""

import os
import re
import sqlite3
from pathlib import Path
from urllib.parse import unquote, urlsplit

from filelock import FileLock

from stages.support.files import root

EXPERIMENT = "lstm-vs-gru"


def store_address() -> str:
    """MLFLOW_TRACKING_URI, or a sqlite file beside the pipeline; a relative path is taken from `root()`."""
    address = os.environ.get("MLFLOW_TRACKING_URI") or "sqlite:///mlflow.db"
    database = database_of(address)
    return f"sqlite:///{database}" if database else address


def database_of(address: str) -> Path | None:
    """The file of a sqlite address, or None for another kind of store."""
    found = re.fullmatch(r"sqlite:///([^?]+)", address)
    return root() / found[1] if found else None


def create_database(path: Path) -> None:
    """Make MLflow's sqlite file where there is none, whole or not at all, whoever else is trying.

    MLflow creates its tables in many steps without a lock: two processes at once, or a kill, leave a file
    that no MLflow can open again (mlflow/mlflow#23721).
    """
    from mlflow import MlflowClient

    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_name(f"{path.name}.lock")):
        if path.exists():
            return
        for left in path.parent.glob(f"{path.name}.new*"):  # of a process that was killed here
            left.unlink()
        new = path.with_name(f"{path.name}.new")
        MlflowClient(tracking_uri=f"sqlite:///{new}").search_experiments()
        new.replace(path)


def follow_move(database: Path) -> None:
    """Where the folder of a database was moved or copied, let it find its files beside it.

    MLflow keeps the absolute place of each run's files, and has no command to change it.
    """
    place = database.parent / "mlruns"
    with sqlite3.connect(database, timeout=20) as connection:
        found = connection.execute("SELECT artifact_location FROM experiments WHERE name = ?", [EXPERIMENT]).fetchone()
        noted, now = str(found[0]) if found else "", place.as_uri()
        old = Path(unquote(urlsplit(noted).path))
        if (
            noted == now
            or not noted.startswith("file:")
            or old.name != "mlruns"
            or (old.exists() and not place.exists())
        ):
            return
        for table, column in [
            ("experiments", "artifact_location"),
            ("runs", "artifact_uri"),
            ("model_versions", "source"),
            ("model_versions", "storage_location"),
            ("logged_models", "artifact_location"),
        ]:
            connection.execute(
                f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE substr({column}, 1, ?) IN (?, ?)",
                [now, len(noted) + 1, len(noted) + 1, noted, f"{noted}/"],
            )
    connection.close()
