"""Scenarios that come with fedscore, as TOML files; `fedscore simulate NAME` finds them by name."""
