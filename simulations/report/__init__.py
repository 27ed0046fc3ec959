"""The report of an experiment: one HTML file that needs nothing else, and its picture as files."""

from __future__ import annotations

from simulations.report.page import ReportContent, render, write_report
from simulations.report.party_line import PartyLine

__all__ = ["PartyLine", "ReportContent", "render", "write_report"]
