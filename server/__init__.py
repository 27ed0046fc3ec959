"""The operator: the Flower ServerApp, and the coordinator of phases."""
