"""The data of the studies that make their own: raw sequences, and how they are cut."""
