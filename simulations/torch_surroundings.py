"""How can torch, Opacus and Flower's strategies be run without disturbing what runs beside them?"""

from __future__ import annotations

import logging
import random
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch

__all__ = ["undisturbed"]

_EXPECTED = (
    # That the default generator is no secret is part of what the public recipe does.
    ("Secure RNG turned off", UserWarning, ""),
    # The features need no gradients, in whatever model.
    ("Full backward hook is firing when gradients are computed", UserWarning, ""),
    # Opacus' PRV takes a first, rough bound from Rényi orders that end where small epsilons begin.
    ("Optimal order is the", UserWarning, ""),
    # Opacus takes logarithms of zero at the edges of its grids, and leaves those places out afterwards.
    ("divide by zero encountered in log", RuntimeWarning, r"opacus\.accountants\."),
    # Its integrals converge slowly where batches are many and noise is little; what it prints is an estimate.
    ("The integral is probably divergent", UserWarning, r"opacus\.accountants\."),
)


@contextmanager
def undisturbed(seed: int) -> Iterator[None]:
    """Seed torch's and Python's default generators inside, and restore everything after.

    Restored are both generators, the number of torch's threads (one inside: small models are fastest so),
    what Flower logs (warnings alone inside) and the filters of warnings (inside, Opacus' expected ones are
    ignored).

    Args:
        seed: Of both generators, 0 or more.
    """
    threads, flower, nodes = torch.get_num_threads(), logging.getLogger("flwr"), random.getstate()
    level = flower.level
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        for message, category, module in _EXPECTED:
            warnings.filterwarnings("ignore", message, category, module)
        torch.default_generator.manual_seed(seed)
        random.seed(seed)
        torch.set_num_threads(1)
        flower.setLevel(logging.WARNING)
        try:
            yield
        finally:
            flower.setLevel(level)
            torch.set_num_threads(threads)
            random.setstate(nodes)
