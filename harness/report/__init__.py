"""The report: one HTML file that says whether the fine-tuning helped, with the evidence one click below."""

from harness.report.page import render_report, write_report

__all__ = ["render_report", "write_report"]
