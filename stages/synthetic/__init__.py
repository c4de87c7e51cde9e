"""The data of the studies that make their own: one module a study, which writes the arrays of data/ready/STUDY."""
