"""The report: figures of runs and families, and one HTML page of a comparison."""

from heldout.report.page import write_report

__all__ = ["write_report"]
