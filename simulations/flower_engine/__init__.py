"""A federation on Flower's own simulation engine (Ray), beside the in-process transport: a conformance check.

Client app, porter, nodes, coordinator and transport are those of every other simulation and of a deployment.
What differs is what carries the messages: Flower's link state and its queues, and actor processes any of
which may answer for any node. So whatever a node has to remember must survive from process to process, as
in a deployment; a simulation in one process would not show where it does not.

Of the entries that Flower 1.41 has to its engine, `run_simulation` is used, although Flower says that it will
go. What it recommends instead, `flwr run`, starts a SuperLink, packs a bundle, and lets other processes do
the rest: the same engine through a longer way, to which neither rows nor noise of a simulation can be handed.
What `flwr run` calls in the end is private. `pyproject.toml` holds Flower to the release that was tested, and
tests guard what is leant on.
"""

from __future__ import annotations

from simulations.flower_engine.engine import train_on_flower

__all__ = ["train_on_flower"]
