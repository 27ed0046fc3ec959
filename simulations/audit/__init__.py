"""The audit: what the code really does with noise and with single records, beside what is promised."""
