"""Scenarios, the in-process transport, baselines and the report."""
