"""What the code costs, as ratios that are measured side by side; no part of the wheel."""
