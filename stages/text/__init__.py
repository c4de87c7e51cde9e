"""Text: where it comes from (corpora) and how it becomes numbers (tokens)."""
