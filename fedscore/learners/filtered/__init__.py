"""The filtered scorecard: every noisy sum is a measurement, and a Kalman filter joins them into points."""
