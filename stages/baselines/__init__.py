"""Rows without a recurrent net: what many would use instead, and what any net must beat."""
