"""Real corpora, fetched and checked, and the sample corpora that the project makes."""

SAMPLE_SEED = 0
"""Of the text that the project makes; not params.yaml's seed: a corpus depends on nothing but its own section."""
