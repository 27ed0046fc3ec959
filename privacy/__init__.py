"""Differential privacy and threshold Paillier: a library that knows nothing of credit, Flower or files."""
