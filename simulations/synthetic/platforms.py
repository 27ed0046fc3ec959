"""What a platform records of its invented customers: accounts, orders, refunds, logins, repayments."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from clients.platform.schema import CREDIT, OTHER
from simulations.synthetic.cases import Cases
from simulations.synthetic.people import People, logistic
from simulations.synthetic.timeline import LAST_DAY, LAST_KNOWN_MONTH, MONTH_DAYS, dates, keys, month_of

__all__ = ["draw_platform"]

_Days = npt.NDArray[np.int64]
_Floats = npt.NDArray[np.float64]
_Mask = npt.NDArray[np.bool_]

_ORDERS_SINCE = -480
_LOGINS_SINCE = -150
_HAND_OVER_DAYS = 31
_NEVER_PAID_DAYS = 150
_PLANS = np.array([1, 3, 6])
_PLAN_SHARES = (0.35, 0.4, 0.25)

_LATE_FROM = 1.55
"""Pressure from which an instalment is paid late: sets the platforms' base rate near 2.5 %."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Orders:
    account: _Days
    day: _Days
    amount: _Floats
    on_credit: _Mask
    plan: _Days


@dataclass(frozen=True, slots=True, kw_only=True)
class _Instalments:
    account: _Days
    due: _Days
    amount: _Floats
    delay: _Days


def draw_platform(
    people: People,
    members: _Days,
    *,
    name: str,
    client: int,
    strictness: float,
    generator: np.random.Generator,
) -> tuple[dict[str, pa.Table], Cases]:
    """Draws one platform's operational tables.

    Args:
        people: Everybody.
        members: Positions of the people who have an account here; one account each.
        name: The platform's name, from which its accounts take theirs.
        client: The platform's position among the creditors of the agencies.
        strictness: How much less often its customers are late than elsewhere, in units of latent pressure.
        generator: The source of all draws.

    Returns:
        The tables of `clients.platform.TABLES`, and the debts that it hands over to agencies.
    """
    size = len(members)
    accounts = pa.array([f"{name}-{number:06d}" for number in range(size)])
    opened = np.minimum(-np.rint(generator.exponential(600, size)).astype(np.int64) + 30, LAST_DAY - 31)
    judgement = 0.9 * people.risk[members] + generator.standard_normal(size)
    limit = np.maximum(np.round(people.income[members] * np.exp(-0.22 * judgement) / 100) * 100, 200.0)
    orders = _orders(people, members, opened, limit, generator)
    instalments = _instalments(people, members, orders, strictness, generator)
    tables = {
        "accounts": pa.table(
            {
                "account_id": keys(accounts, np.arange(size)),
                "person_id": keys(people.names, members),
                "opened_on": dates(opened),
                "credit_limit": limit,
            }
        ),
        "orders": pa.table(
            {
                "account_id": keys(accounts, orders.account),
                "ordered_at": dates(orders.day),
                "amount": orders.amount,
                "paid_by": _credit_or_other(orders.on_credit),
                "instalments": orders.plan,
            }
        ),
        "refunds": _refunds(people, members, accounts, orders, generator),
        "logins": _logins(people, members, accounts, opened, generator),
        "repayments": _repayments(accounts, instalments),
    }
    return tables, _handed_over(members, client, instalments)


def _orders(
    people: People, members: _Days, opened: _Days, limit: _Floats, generator: np.random.Generator
) -> _Orders:
    size = len(members)
    start = np.maximum(opened, _ORDERS_SINCE)
    loyalty = np.exp(0.4 * generator.standard_normal(size) - 0.08)
    expected = people.appetite[members] * loyalty * (LAST_DAY - start) / MONTH_DAYS
    account = np.repeat(np.arange(size), generator.poisson(expected))
    offset = generator.random(len(account)) * (LAST_DAY - start[account])
    day = start[account] + np.floor(offset).astype(np.int64)
    person = members[account]
    stress = people.stress[person, month_of(day)]
    on_credit = generator.random(len(account)) < logistic(
        -0.1 + 0.6 * people.credit_taste[person] + 0.6 * stress
    )
    price = people.income[person] * np.exp(-3.3 + 0.8 * generator.standard_normal(len(account)))
    amount = np.asarray(np.round(np.clip(price, 5.0, 0.6 * limit[account]), 2), dtype=np.float64)
    plan = np.where(on_credit, generator.choice(_PLANS, size=len(account), p=_PLAN_SHARES), 0)
    return _Orders(account=account, day=day, amount=amount, on_credit=on_credit, plan=plan)


def _instalments(
    people: People, members: _Days, orders: _Orders, strictness: float, generator: np.random.Generator
) -> _Instalments:
    order = np.repeat(np.arange(len(orders.plan)), orders.plan)
    first = np.cumsum(orders.plan) - orders.plan
    number = np.arange(len(order)) - first[order] + 1
    account, amount = orders.account[order], np.round(orders.amount[order] / orders.plan[order], 2)
    due = orders.day[order] + MONTH_DAYS * number
    recorded = due < LAST_DAY
    account, amount, due = account[recorded], amount[recorded], due[recorded]
    person, month = members[account], month_of(due)
    # What falls due in one month is paid or missed together: the shock is the account's, not the
    # instalment's.
    pressure = (
        0.55 * people.risk[person]
        + 0.55 * people.stress[person, month]
        + 0.3 * np.log1p(amount / people.income[person] * 20)
        + 1.1 * _shocks(account, month, len(members), generator)
        + 0.65 * generator.standard_normal(len(account))
        - strictness
    )
    excess = pressure - _LATE_FROM
    delay = np.where(excess > 0, np.floor(np.exp(1.4 * np.minimum(excess, 5.0))), 0).astype(np.int64)
    early = -generator.choice(6, size=len(account), p=(0.45, 0.2, 0.15, 0.1, 0.06, 0.04))
    return _Instalments(account=account, due=due, amount=amount, delay=np.where(delay > 0, delay, early))


def _shocks(
    account: _Days, month: _Days, size: int, generator: np.random.Generator
) -> npt.NDArray[np.float32]:
    """A standard normal per account and month, at every instalment."""
    months = int(month.max(initial=0)) + 1
    return generator.standard_normal((size, months), dtype=np.float32)[account, month]


def _repayments(accounts: pa.Array, instalments: _Instalments) -> pa.Table:
    paid = instalments.due + instalments.delay
    open_still = (paid >= LAST_DAY) | (instalments.delay > _NEVER_PAID_DAYS)
    return pa.table(
        {
            "account_id": keys(accounts, instalments.account),
            "due_on": dates(instalments.due),
            "amount_due": instalments.amount,
            "paid_on": dates(paid, empty=open_still),
            "amount_paid": pa.array(instalments.amount, mask=open_still),
        }
    )


def _handed_over(members: _Days, client: int, instalments: _Instalments) -> Cases:
    """One case for all that an account has long overdue in one month."""
    handed = instalments.due + _HAND_OVER_DAYS
    long = (instalments.delay > _HAND_OVER_DAYS) & (handed < LAST_DAY)
    account, day = instalments.account[long], handed[long]
    group, first, of = np.unique(account * 100 + month_of(day), return_index=True, return_inverse=True)
    return Cases(
        person=members[group // 100],
        client=np.full(len(group), client),
        day=day[first],
        amount=np.round(np.bincount(of, weights=instalments.amount[long], minlength=len(group)), 2),
        days_overdue=np.full(len(group), _HAND_OVER_DAYS),
    )


def _refunds(
    people: People, members: _Days, accounts: pa.Array, orders: _Orders, generator: np.random.Generator
) -> pa.Table:
    chance = logistic(-2.6 + 0.7 * people.risk[members])[orders.account]
    day = orders.day + 3 + generator.integers(0, 25, size=len(chance))
    # Money back on credit would rewrite the instalments; this invented trade gives back what was paid
    # otherwise.
    given = (generator.random(len(chance)) < chance) & (day < LAST_DAY) & ~orders.on_credit
    return pa.table(
        {
            "account_id": keys(accounts, orders.account[given]),
            "refunded_at": dates(day[given]),
            "amount": orders.amount[given],
            "returned_to": _credit_or_other(np.zeros(int(given.sum()), dtype=np.bool_)),
        }
    )


def _logins(
    people: People, members: _Days, accounts: pa.Array, opened: _Days, generator: np.random.Generator
) -> pa.Table:
    size = len(members)
    start = np.maximum(opened, _LOGINS_SINCE)
    # Who has trouble paying looks in less often.
    latest = people.stress[members, LAST_KNOWN_MONTH]
    rate = 3.0 * people.appetite[members] ** 0.7 * np.exp(-0.3 * latest)
    account = np.repeat(np.arange(size), generator.poisson(rate * (LAST_DAY - start) / MONTH_DAYS))
    offset = generator.random(len(account)) * (LAST_DAY - start[account])
    day = start[account] + np.floor(offset).astype(np.int64)
    new = generator.random(len(account)) < logistic(-3.4 + 0.3 * people.risk[members])[account]
    return pa.table({"account_id": keys(accounts, account), "at": dates(day), "new_device": new})


def _credit_or_other(on_credit: _Mask) -> pa.Array:
    return keys(pa.array([OTHER, CREDIT]), on_credit.astype(np.int64))
