"""Inject faults by the thousand: `python -m tests.faults [PART ...] [--cases N] [--from N] [--traceback]`.

Without a PART all of `catalog.FAULTS`, some hours. Each part's counts go into tests/faults/measured, and from there
into docs/reliability.md. A part that was stopped goes on where it was, at the same commit. What is not survived is
printed with its number: `python -m tests.faults PART --from NUMBER --cases 1 --traceback` is that case again.
"""

import argparse
import subprocess
import sys
import time
import traceback
from collections import Counter
from pathlib import Path

from tqdm import tqdm

from stages.support.files import read_json, write_json, write_text
from tests.faults.catalog import FAULTS, chances, failures, trials
from tests.faults.judge import judge
from tests.faults.table import MEASURED, PAGE, generated

ROOT = Path(__file__).parents[2]
BEGUN = ROOT / "checkpoints" / "faults"
_SECONDS_BETWEEN_NOTES = 10.0
_SHOWN = 3  # cases of each outcome that is not survived


def main() -> int:
    """Run the parts, write what was measured, and return 1 where something was not survived."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description="Inject faults, and count what comes.")
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(FAULTS))
    parser.add_argument("--cases", type=int, help="other than those of the long form; then nothing is written")
    parser.add_argument("--from", type=int, default=0, dest="first")
    parser.add_argument("--traceback", action="store_true", help="show where what is not survived failed")
    arguments = parser.parse_args()
    if unknown := set(arguments.parts).difference(FAULTS):
        parser.error(f"{', '.join(sorted(unknown))}: allowed are {', '.join(FAULTS)}")
    failed = False
    for name in arguments.parts or FAULTS:
        outcomes = _run(name, arguments)
        print(f"{name}: {', '.join(f'{count:,} {outcome}' for outcome, count in outcomes.most_common())}", flush=True)
        failed |= bool(failures(name, outcomes))
    write_text(PAGE, generated(PAGE.read_text(encoding="utf-8")))
    return int(failed)


def _run(name: str, arguments: argparse.Namespace) -> Counter[str]:
    """The outcomes of a part's cases."""
    begun, is_whole = BEGUN / f"{name}.json", arguments.cases is None and not arguments.first
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    outcomes, first = Counter[str](), arguments.first
    if is_whole and begun.exists() and (noted := read_json(begun))["commit"] == commit:
        outcomes, first = Counter(noted["outcomes"]), noted["next"]
    cases = FAULTS[name].cases if arguments.cases is None else arguments.cases
    noted_at = time.monotonic()
    numbers = range(first, arguments.first + cases)
    with trials(name) as trial:
        for number, chance in tqdm(chances(name, numbers), name, total=len(numbers), mininterval=1):
            seen = trial(chance)
            outcome = judge(seen)
            outcomes[outcome] += 1
            if failures(name, [outcome]) and outcomes[outcome] <= _SHOWN:
                tqdm.write(f"{name} {number}: {outcome}: {str(seen.error)[:200]}", sys.stdout)
                if arguments.traceback and seen.error:
                    traceback.print_exception(seen.error)
            if is_whole and time.monotonic() > noted_at + _SECONDS_BETWEEN_NOTES:
                noted_at = time.monotonic()
                write_json(begun, {"commit": commit, "next": number + 1, "outcomes": outcomes})
    if is_whole:
        write_json(MEASURED / f"{name}.json", {"tried": outcomes.total(), "outcomes": dict(sorted(outcomes.items()))})
        begun.unlink(missing_ok=True)
    return outcomes


if __name__ == "__main__":
    sys.exit(main())
