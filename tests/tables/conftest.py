"""Reading what a test writes."""

import pytest

from stages.tables.findings import text_report
from stages.tables.inspect import inspect
from stages.tables.records import records


@pytest.fixture
def read(tmp_path):
    """Write content to a file, look at it, and return the findings and what is read."""

    def run(content, name="mine.csv", **options):
        path = tmp_path / name
        if isinstance(content, dict):
            for inner, text in content.items():
                (path / inner).parent.mkdir(parents=True, exist_ok=True)
                (path / inner).write_bytes(text if isinstance(text, bytes) else text.encode())
        else:
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        found = inspect(path, **options)
        read_records = list(records(path, found))
        assert len(read_records) == found.rows
        assert all("\n" not in line for line in text_report(found))
        return found, read_records

    return run
