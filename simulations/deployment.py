"""What a deployment would run on: `[deployment]` of a scenario, from which its wall time is estimated."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = ["Bandwidth", "DeploymentTerms"]

_Mbit = Annotated[float, Field(gt=0, allow_inf_nan=False)]
_Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Terms(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Bandwidth(_Terms):
    """What a line carries, in millions of bits a second.

    Attributes:
        up: Away from whoever has the line.
        down: Towards it.
    """

    up: _Mbit
    down: _Mbit


class DeploymentTerms(_Terms):
    """A deployment that nobody has built yet; none of this changes a training, only what is said of its time.

    Attributes:
        phase_seconds: What a phase of Flower 1.41 takes from the ask to the last answer, beside everything
            below: the shortest and the longest, measured over the loopback interface. Most of it starts a
            process at the node.
        latency_seconds: A round trip between an organisation and the operator.
        bandwidth_mbit: Each organisation's line.
        operator_mbit: The operator's line, which all share.
    """

    phase_seconds: tuple[_Seconds, _Seconds] = (3.5, 6.0)
    latency_seconds: _Seconds = 0.05
    bandwidth_mbit: Bandwidth = Bandwidth(up=20.0, down=50.0)
    operator_mbit: Bandwidth = Bandwidth(up=100.0, down=100.0)

    @model_validator(mode="after")
    def _shortest_first(self) -> DeploymentTerms:
        if self.phase_seconds[0] > self.phase_seconds[1]:
            raise ValueError("phase_seconds holds the shortest and the longest, in this order")
        return self
