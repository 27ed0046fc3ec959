"""Learners: programs of private sums."""
