"""relay: do the first value of a noisy sequence and the one in its middle have the same sign?

Source: document 002_89a61afb7de75c8a. As published, validation is the last share of the sequences before they are
shuffled, all of them negative; corrected, they are shuffled first.
"""

from stages.studies.common.bits import Data, Hyperparameters, Task, arms

__all__ = ["Data", "Hyperparameters", "Task", "arms"]
