"""Use of the trained models: which one, loaded, asked."""
