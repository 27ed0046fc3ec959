"""What private sums say about a score: each number with what noise and sampling leave open."""
