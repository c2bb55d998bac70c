"""The report: figures of runs and families, one HTML page of a comparison, and one of a sweep."""

from heldout.report.page import write_report
from heldout.report.sweep_page import SweepAnalysis, write_sweep_report

__all__ = ["SweepAnalysis", "write_report", "write_sweep_report"]
