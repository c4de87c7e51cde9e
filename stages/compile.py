"""Compile the loops of all cells, on all cores: `python -m stages.compile`.

Otherwise the first trainings do, one after the other. What is compiled is kept for all of a user's clones.
"""

import operator

from stages.support.process import run_stage


def main() -> None:
    """Compile what is not compiled yet."""
    from stages.nn.first_calls import first_calls
    from stages.training.parallel import run_parallel
    from stages.training.repeats import jobs_at_once

    run_parallel(operator.call, first_calls(), jobs_at_once(0, "cpu"), "compiled loops")


if __name__ == "__main__":
    run_stage(main)
