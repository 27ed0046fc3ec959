"""Paillier encryption under a threshold committee."""
