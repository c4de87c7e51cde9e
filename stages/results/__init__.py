"""What is made of the scores: published figures beside measured ones, intervals, tables and figures."""
