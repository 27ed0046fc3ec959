"""The consortium: who of the invented people is where, and the tables of every organisation."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from clients import collector, platform
from fedscore.contract import Role
from fedscore.errors import ScenarioError
from simulations.synthetic.cases import Cases, draw_outside_cases
from simulations.synthetic.collectors import draw_collector
from simulations.synthetic.people import People, draw_people
from simulations.synthetic.platforms import draw_platform
from simulations.synthetic.timeline import AS_OF, HORIZON_DAYS

__all__ = ["AS_OF", "HORIZON_DAYS", "SyntheticConsortium", "SyntheticParty", "make_consortium", "write"]

_Days = npt.NDArray[np.int64]

_LARGEST_SHARE = 0.55
_SHRINK = 0.58
_OUTSIDE_CLIENTS = 12
_LOYALTY = 0.85
_SMALLEST = 100

_ROWS_AS_OF = {Role.PLATFORM: platform.rows_as_of, Role.COLLECTOR: collector.rows_as_of}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SyntheticParty:
    """One invented organisation.

    Attributes:
        name: "platform-1", "collector-2", ...
        role: What it is to the consortium.
        tables: Its operational tables, by name; those of `TABLES` of its role's package.
    """

    name: str
    role: Role
    tables: Mapping[str, pa.Table]

    def rows(self, *, as_of: dt.date = AS_OF, horizon_days: int = HORIZON_DAYS) -> pa.Table:
        """The party's rows for the contract, as its node would make them of its tables."""
        return _ROWS_AS_OF[self.role](self.tables, as_of=as_of, horizon_days=horizon_days)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SyntheticConsortium:
    """Invented organisations with invented customers, some of whom several organisations know.

    Attributes:
        as_of: The date for which a contract's rows are made.
        horizon_days: How many days after it the outcome looks; the tables go on beyond.
        people: How many people there are.
        seed: What they were drawn from.
        parties: Platforms first, each role from the largest to the smallest.
    """

    as_of: dt.date
    horizon_days: int
    people: int
    seed: int
    parties: tuple[SyntheticParty, ...]


def make_consortium(
    *, people: int = 60_000, platforms: int = 3, collectors: int = 2, seed: int
) -> SyntheticConsortium:
    """Draws a consortium of invented people; the same arguments give the same consortium.

    With the defaults a bit more than a third of those who appear anywhere appear at several organisations.
    The platforms have about 41,000, 24,000 and 14,000 accounts, the agencies about 7,000 and 4,500 debtors;
    about 3 % of all rows are bad: 2-3 % at platforms, 5-9 % at agencies.

    Args:
        people: How many people; at least 100.
        platforms: How many platforms; at least one.
        collectors: How many agencies; may be none.
        seed: Seeds every draw.

    Raises:
        ScenarioError: There are too few people or platforms.
    """
    if people < _SMALLEST or platforms < 1 or collectors < 0:
        raise ScenarioError(
            f"a synthetic consortium of {people} people, {platforms} platforms and {collectors} collectors "
            f"cannot be drawn: take at least {_SMALLEST} people and one platform"
        )
    generator = np.random.default_rng(seed)
    everybody = draw_people(people, generator)
    parties, debts = [], []
    for number, members in enumerate(_memberships(people, platforms, generator)):
        name = f"platform-{number + 1}"
        tables, handed_over = draw_platform(
            everybody,
            members,
            name=name,
            client=number,
            strictness=0.1 * (number % 3 - 1),
            generator=generator,
        )
        parties.append(SyntheticParty(name=name, role=Role.PLATFORM, tables=tables))
        debts.append(handed_over)
    debts.append(
        draw_outside_cases(everybody, first_client=platforms, clients=_OUTSIDE_CLIENTS, generator=generator)
    )
    parties += _agencies(everybody, Cases.concatenate(debts), platforms, collectors, generator)
    return SyntheticConsortium(
        as_of=AS_OF, horizon_days=HORIZON_DAYS, people=people, seed=seed, parties=tuple(parties)
    )


def write(consortium: SyntheticConsortium, folder: Path) -> None:
    """Writes every party's tables as `folder/<party>/<table>.parquet`, which `clients.operational` reads."""
    for party in consortium.parties:
        target = folder / party.name
        target.mkdir(parents=True, exist_ok=True)
        for name, table in party.tables.items():
            pq.write_table(table, target / f"{name}.parquet")


def _memberships(people: int, platforms: int, generator: np.random.Generator) -> list[_Days]:
    """Who has an account where: everybody somewhere, each platform smaller than the one before."""
    share = _LARGEST_SHARE * _SHRINK ** np.arange(platforms)
    joined = generator.random((people, platforms)) < share
    nowhere = np.flatnonzero(~joined.any(axis=1))
    joined[nowhere, generator.choice(platforms, size=len(nowhere), p=share / share.sum())] = True
    return [np.flatnonzero(joined[:, number]) for number in range(platforms)]


def _agencies(
    people: People, cases: Cases, platforms: int, collectors: int, generator: np.random.Generator
) -> list[SyntheticParty]:
    """Cases over the agencies: most of a person's go to one agency, the larger ones get more people."""
    if not collectors:
        return []
    share = _SHRINK ** np.arange(collectors)
    share /= share.sum()
    usual = generator.choice(collectors, size=len(people), p=share)[cases.person]
    strange = generator.choice(collectors, size=len(cases), p=share)
    agency = np.where(generator.random(len(cases)) < _LOYALTY, usual, strange)
    clients = pa.array([f"client-{number:02d}" for number in range(platforms + _OUTSIDE_CLIENTS)])
    names = [f"collector-{number + 1}" for number in range(collectors)]
    return [
        SyntheticParty(
            name=name,
            role=Role.COLLECTOR,
            tables=draw_collector(
                people, cases.select(agency == number), name=name, clients=clients, generator=generator
            ),
        )
        for number, name in enumerate(names)
    ]
