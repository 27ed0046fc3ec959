"""The scorecard: a program of nine private sums that ends in points per bin."""
