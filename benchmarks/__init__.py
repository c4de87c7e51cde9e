"""Speed against other ways of doing the same. Nothing here is part of the pipeline."""
