"""Monitoring: a finished card is watched on present rows of all parties."""
