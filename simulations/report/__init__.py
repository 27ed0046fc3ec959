"""The report of an experiment: one HTML file that needs nothing else."""

from __future__ import annotations

from simulations.report.page import PartyLine, ReportContent, render

__all__ = ["PartyLine", "ReportContent", "render"]
