"""Recurrent cells, the engines that run them, and their initial weights."""
