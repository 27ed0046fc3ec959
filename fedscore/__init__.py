"""Federated, privacy-preserving credit scoring from encrypted, differentially private sums."""
