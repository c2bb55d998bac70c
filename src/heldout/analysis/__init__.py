"""From records to gaps, onsets, verdicts and a table of families. Reads records only; imports no torch."""

from heldout.analysis.compare import Comparison, ComparisonError, compare

__all__ = ["Comparison", "ComparisonError", "compare"]
