"""A federation of real processes on this machine: `python -m simulations.loopback --out DIR`.

A SuperLink, its executor and one SuperNode per organisation, over TLS and with a key per node, run the same
two apps as a deployment. Everything listens on the loopback interface, in ports that were free, and is
stopped at the end, whatever happens.
"""

from simulations.loopback.federation import LoopbackFederation, LoopbackTerms, loopback_federation
from simulations.loopback.run import LoopbackResult, run_loopback, train

__all__ = [
    "LoopbackFederation",
    "LoopbackResult",
    "LoopbackTerms",
    "loopback_federation",
    "run_loopback",
    "train",
]
