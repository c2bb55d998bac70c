"""Heldout: which model will hold up on data it has not seen, and the evidence for it."""

__version__ = "0.1.0"
