"""`make soak`: a federation of real processes under random `kill -9`, and what its files show at the end.

Every kill is one that systemd, or the operator's `fedscore server resume`, has to make good. The federation,
its keys, its noise, its books and its commands are those of a deployment; the program has three sums, so that
many runs fit into the time.
"""

from __future__ import annotations

import argparse
import json
import random
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NoReturn

from clients.config import load_node_config
from clients.deployment import books_of, identity_of
from clients.memory import FileMemory
from clients.policy import load_policy
from fedscore.messages.programs import program
from fedscore.sums.ceremonies import ceremony_of
from fedscore.sums.series import KeySeries
from server.record import RunStatus
from simulations.loopback.audit import Left, NodeFiles, audit
from simulations.loopback.sightings import read_sightings
from tests.soak.client import LEFT
from tests.soak.federation import Federation, soaked_federation
from tests.soak.killing import Killer, Kind
from tests.soak.operating import Operator
from tests.soak.server_app import KEPT
from tests.soak.three_sums import three_sums

FEWEST_KILLS = 20
FEWEST_OF_A_KIND = 2
FEWEST_RUNS = 5
_TICK_SECONDS = 0.1


def main() -> None:
    options = _options()
    signal.signal(signal.SIGTERM, _leave)
    seed = options.seed if options.seed is not None else secrets.randbelow(2**32)
    out = options.out or Path(tempfile.mkdtemp(prefix="soak-"))
    out.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()

    def tell(text: str) -> None:
        sys.stdout.write(f"{time.monotonic() - began:6.0f} s  {text}\n")
        sys.stdout.flush()

    tell(f"seed {seed}; files in {out}")
    chance = random.Random(seed)  # noqa: S311 - decides when to kill, not what to keep secret
    with soaked_federation(out.absolute(), seed=seed, node_delay=options.node_delay, tell=tell) as federation:
        killer = Killer(federation, chance, began, tell)
        operator = Operator(federation, chance, tell)
        _soak(federation, killer, operator, ends=began + 60 * options.minutes)
        wrong = [] if operator.is_idle else ["the time was over before the last run had ended"]
    wrong += _short_of(killer, operator)
    wrong += _audited(federation, operator)
    for line in _summary(federation, killer, operator, time.monotonic() - began):
        tell(line)
    for what in wrong:
        tell(f"WRONG: {what}")
    tell("all is as it should be" if not wrong else f"{len(wrong)} things are wrong; seed {seed}, {out}")
    raise SystemExit(bool(wrong))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--seed", type=int, help="repeats the kills' order and pauses; random if left out")
    parser.add_argument("--out", type=Path, help="a new folder; one for temporary files if left out")
    parser.add_argument("--minutes", type=float, default=36.0, help="the longest that it may take")
    parser.add_argument("--node-delay", type=float, default=75.0, help="seconds until a node starts again")
    return parser.parse_args()


def _soak(federation: Federation, killer: Killer, operator: Operator, *, ends: float) -> None:
    """Goes on until every kill was made and enough runs have ended, or the time is over."""
    while time.monotonic() < ends:
        federation.attend()
        enough = operator.ended(RunStatus.FINISHED) >= FEWEST_RUNS and operator.ended(RunStatus.STOPPED) > 0
        done = enough and not killer.left
        operator.attend(begin=not done)
        killer.perhaps_kill()
        if done and operator.is_idle:
            return
        time.sleep(_TICK_SECONDS)


def _short_of(killer: Killer, operator: Operator) -> list[str]:
    """A soak in which too little happened shows nothing."""
    short = []
    if len(killer.hits) < FEWEST_KILLS:
        short.append(f"only {len(killer.hits)} kills hit, {FEWEST_KILLS} are due")
    short += [
        f"only {killer.counted[kind]} kills hit: {kind}"
        for kind in Kind
        if killer.counted[kind] < FEWEST_OF_A_KIND
    ]
    if operator.ended(RunStatus.FINISHED) < FEWEST_RUNS:
        short.append(f"only {operator.ended(RunStatus.FINISHED)} runs finished, {FEWEST_RUNS} are due")
    short += ["no run was ended by a stop"] if operator.ended(RunStatus.STOPPED) == 0 else []
    short += ["no run was resumed"] if operator.commands["resume"] == 0 else []
    return short


def _audited(federation: Federation, operator: Operator) -> list[str]:
    series = KeySeries.of(ceremony_of(federation.contract, federation.operator / "ceremony.json"))
    agenda = three_sums(federation.contract, "0" * 32)
    nodes = []
    for party in federation.parties:
        config = load_node_config(party.config)
        identity, left = identity_of(config), party.folder / LEFT
        lines = left.read_text(encoding="utf-8").splitlines() if left.exists() else []
        nodes.append(
            NodeFiles(
                name=party.name,
                signing_key=identity.public.signing_key,
                evidence=party.folder / "ledger" / "evidence.jsonl",
                books=books_of(config, load_policy(config.policy), identity),
                state=FileMemory(party.folder / "state", series).load(),
                left=[Left(**json.loads(line)) for line in lines],
            )
        )
    wrong = audit(
        nodes,
        read_sightings(federation.operator / KEPT),
        ends={run: record.status for run, record in operator.records.items()},
        price=lambda step: agenda.requests[step].event,
    )
    for node in nodes:
        done = subprocess.run(
            [
                *(program("fedscore"), "node", "evidence", "verify", str(node.evidence)),
                *("--key", node.signing_key.hex()),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            wrong.append(f"{node.name}: `fedscore node evidence verify` says {done.stderr.strip()}")
    return wrong


def _summary(federation: Federation, killer: Killer, operator: Operator, seconds: float) -> list[str]:
    kinds = killer.counted
    sightings = read_sightings(federation.operator / KEPT)
    rounds = {one.head.round for one in sightings} - {0}
    asked = max((one.round for one in sightings), default=0)
    left = sum(
        len((party.folder / LEFT).read_text(encoding="utf-8").splitlines())
        for party in federation.parties
        if (party.folder / LEFT).exists()
    )
    return [
        *(f"  {kind:<40} {kinds[kind]:>4} killed" for kind in Kind),
        f"  {'all kills':<40} {len(killer.hits):>4}",
        *(f"  {'runs ' + status:<40} {operator.ended(status):>4}" for status in RunStatus),
        *(f"  {'command: ' + name:<40} {count:>4}" for name, count in operator.commands.items()),
        f"  {'rounds asked':<40} {asked:>4}",
        f"  {'rounds opened':<40} {len(rounds):>4}",
        f"  {'answers that left a node':<40} {left:>4}",
        *(
            f"  {'starts of ' + unit.name:<40} {unit.starts:>4}"
            for unit in (federation.server, *federation.nodes.values())
        ),
        f"  {'seconds':<40} {seconds:>4.0f}",
    ]


def _leave(_number: int, _frame: object) -> NoReturn:
    sys.exit(128 + signal.SIGTERM)


if __name__ == "__main__":
    main()
