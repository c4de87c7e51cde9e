"""Compiled loops over time, made of any cell's scalars: one over a padded batch, one that trains replicas."""
