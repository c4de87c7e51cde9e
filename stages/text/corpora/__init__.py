"""Real corpora, fetched and checked, and the sample corpora that the project makes."""
