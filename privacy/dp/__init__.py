"""Differential privacy: events, exact noise and accounting."""
