"""The training loop, its checkpoints, devices and parallel repeats."""
