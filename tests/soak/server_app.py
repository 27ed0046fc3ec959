"""The server app of a deployment, but for the program; and everything that it writes down is kept."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from fedscore.sums.series import KeySeries
from server import app as product
from server.checkpoint import Checkpoint, FileCheckpoints
from server.chronicle import FileChronicle, Standing
from server.coordinator import Coordinator
from simulations.loopback.sightings import keep_checkpoint, keep_standing
from tests.soak.three_sums import three_sums

__all__ = ["KEPT", "app"]

KEPT = "kept"
"""The folder beside the state, in which everything is kept."""


class KeptChronicle(FileChronicle):
    def __init__(self, folder: Path, series: KeySeries) -> None:
        super().__init__(folder, series)
        self._kept = folder.parent / KEPT

    def store(self, standing: Standing) -> None:
        keep_standing(self._kept, standing, stored=False)
        super().store(standing)
        keep_standing(self._kept, standing, stored=True)


class KeptCheckpoints(FileCheckpoints):
    def __init__(self, folder: Path, series: KeySeries) -> None:
        super().__init__(folder, series)
        self._kept = folder.parent / KEPT

    def store(self, checkpoint: Checkpoint) -> None:
        keep_checkpoint(self._kept, checkpoint, stored=False)
        super().store(checkpoint)
        keep_checkpoint(self._kept, checkpoint, stored=True)


vars(product).update(
    Coordinator=partial(Coordinator, agenda_of=three_sums),
    FileChronicle=KeptChronicle,
    FileCheckpoints=KeptCheckpoints,
)
app = product.app
