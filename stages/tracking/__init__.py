"""Tracking: what a training leaves (curves), what MLflow should show (desired), and what is sent to it (sender, store).

Training imports curves alone, and neither waits for MLflow nor fails with it. Nothing here can change a result, and
nothing but this package imports MLflow, late: it takes seconds. `stages.track` is its command.
"""
