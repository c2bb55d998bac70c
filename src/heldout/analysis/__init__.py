"""From records to gaps, onsets, verdicts and a table of families. Reads records only; imports no torch."""

from heldout.analysis.compare import Comparison, ComparisonError, compare
from heldout.analysis.families import Family
from heldout.analysis.intervals import Estimate
from heldout.analysis.run import Run
from heldout.analysis.verdict import Label, Verdict

__all__ = ["Comparison", "ComparisonError", "Estimate", "Family", "Label", "Run", "Verdict", "compare"]
