"""A federation of real processes on this machine: `python -m simulations.loopback --out DIR`.

A SuperLink, its executor and one SuperNode per organisation, over TLS and with a key per node, run the same
two apps as a deployment. Everything listens on the loopback interface, in ports that were free, and is
stopped at the end, whatever happens.
"""

from simulations.loopback.run import LoopbackResult, run_loopback

__all__ = ["LoopbackResult", "run_loopback"]
