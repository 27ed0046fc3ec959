"""The tables of docs/accuracy.md."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from simulations.paper import runs
from simulations.paper.cells import Above, Cell, Difference, Empty, Given, Mean, Reached, Sent, Sums
from simulations.paper.sources import Method, Source
from simulations.paper.tables import Row, Table, less
from simulations.scenario import Baseline

__all__ = ["ACCURACY_TABLES"]

_DOCUMENT = "docs/accuracy.md"
_BUDGETS = (0.1, 0.5, 1.0, 2.0, 8.0)
_SMALL_BUDGETS = (0.1, 0.5, 1.0)
_PUBLISHED = {0.1: 0.8431, 0.5: 0.8451, 1.0: 0.8473}
_NOTHING = Empty()


def _heads(budgets: Sequence[float], *more: str) -> tuple[str, ...]:
    told = [f"{budget:g}".removeprefix("0") for budget in budgets]
    return (f"ε = {told[0]}", *told[1:], *more)


def _row(label: str, budgets: Sequence[float], cell: Callable[[float], Cell], *more: Cell) -> Row:
    return Row(label=label, cells=(*(cell(budget) for budget in budgets), *more))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Card:
    """The methods that one source has of a card."""

    own: Method
    pooled: Method
    alone: Method

    @staticmethod
    def of(source: Source) -> _Card:
        return _Card(
            own=Method(source=source),
            pooled=Method(source=source, baseline=Baseline.POOLED_NO_NOISE),
            alone=Method(source=source, baseline=Baseline.LOCAL_ONLY),
        )


def _lightgbm(source: Source) -> Method:
    return Method(source=source, baseline=Baseline.POOLED_LIGHTGBM)


def _everything(name: str, *, plain_runs: Source, wide_runs: Source) -> Table:
    """Both cards and all that they are compared with, at every budget."""
    plain, wide = _Card.of(plain_runs), _Card.of(wide_runs)
    local_noise = Method(source=plain_runs, baseline=Baseline.LOCAL_NOISE)
    best = _lightgbm(plain_runs)

    rows = (
        _row("plain card", _BUDGETS, lambda e: Mean(plain.own.at(e)), Mean(plain.pooled)),
        _row(
            less("LightGBM", "plain card"),
            _BUDGETS,
            lambda e: Difference(best, plain.own.at(e)),
            Difference(best, plain.pooled),
        ),
        _row("filtered card", _BUDGETS, lambda e: Mean(wide.own.at(e)), Mean(wide.pooled)),
        _row(
            less("LightGBM", "filtered card"),
            _BUDGETS,
            lambda e: Difference(best, wide.own.at(e)),
            Difference(best, wide.pooled),
        ),
        _row(
            less("filtered", "plain card"),
            _BUDGETS,
            lambda e: Difference(wide.own.at(e), plain.own.at(e)),
            Difference(wide.pooled, plain.pooled),
        ),
        _row("plain card, local noise", _BUDGETS, lambda e: Mean(local_noise.at(e)), _NOTHING),
        _row(
            less("shared", "local noise"),
            _BUDGETS,
            lambda e: Difference(plain.own.at(e), local_noise.at(e)),
            _NOTHING,
        ),
        _row("LightGBM, pooled, all columns", _BUDGETS, lambda _: _NOTHING, Mean(best)),
    )
    return Table(name=name, document=_DOCUMENT, columns=_heads(_BUDGETS, "no noise"), rows=rows)


def _same_characteristics(name: str, *, plain_runs: Source, narrow_runs: Source, wide_runs: Source) -> Table:
    """What the program is worth, and what more characteristics are."""
    plain, narrow, wide = _Card.of(plain_runs), _Card.of(narrow_runs), _Card.of(wide_runs)

    def pair(label: str, first: _Card, second: _Card) -> Row:
        return _row(
            label,
            _SMALL_BUDGETS,
            lambda e: Difference(first.own.at(e), second.own.at(e)),
            Difference(first.pooled, second.pooled),
        )

    rows = (
        _row(
            "filtered card, the plain card's characteristics",
            _SMALL_BUDGETS,
            lambda e: Mean(narrow.own.at(e)),
            Mean(narrow.pooled),
        ),
        pair(less("it", "plain card"), narrow, plain),
        pair(less("filtered card, all characteristics", "it"), wide, narrow),
    )
    return Table(name=name, document=_DOCUMENT, columns=_heads(_SMALL_BUDGETS, "no noise"), rows=rows)


def _alone() -> Table:
    """What a party gains by taking part: beside the card that it could make by itself."""

    def lines(data: str, card: str, source: Source, alone_runs: Source) -> tuple[Row, Row]:
        own, alone = Method(source=source), _Card.of(alone_runs).alone
        label = f"{data}, {card} cards of one party each"
        return (
            Row(label=label, cells=(*(_NOTHING for _ in _BUDGETS), Mean(alone))),
            _row(
                less(f"{data}, {card} card", "these"),
                _BUDGETS,
                lambda e: Difference(own.at(e), alone),
                Difference(_Card.of(source).pooled, alone),
            ),
        )

    rows = (
        *lines("Taiwan", "plain", runs.TAIWAN, runs.TAIWAN),
        *lines("Taiwan", "filtered", runs.TAIWAN_WIDE, runs.TAIWAN_ALONE),
        *lines("Give Me Some Credit", "plain", runs.GMSC, runs.GMSC),
        *lines("Give Me Some Credit", "filtered", runs.GMSC_WIDE, runs.GMSC_ALONE),
    )
    return Table(name="alone", document=_DOCUMENT, columns=_heads(_BUDGETS, "no noise"), rows=rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """The largest gap to pooled LightGBM, at each of the five budgets."""

    goal: tuple[float, float, float, float, float]
    prototype: tuple[float, float, float, float, float]
    least: dict[float, float]


_TAIWAN_GOAL = _Wanted(
    goal=(0.015, 0.007, 0.004, 0.003, 0.002),
    prototype=(0.0231, 0.0098, 0.0058, 0.0045, 0.0026),
    least={0.5: 0.0105, 1.0: 0.0065},
)
_GMSC_GOAL = _Wanted(
    goal=(0.007, 0.003, 0.002, 0.0015, 0.001),
    prototype=(0.01, 0.0042, 0.0027, 0.0019, 0.0015),
    least={0.5: 0.0045, 1.0: 0.0032},
)


def _goals(
    name: str, wanted: _Wanted, *, plain_runs: Source, narrow_runs: Source, wide_runs: Source
) -> Table:
    """How far the goals are reached."""
    goal = dict(zip(_BUDGETS, wanted.goal, strict=True))
    prototype = dict(zip(_BUDGETS, wanted.prototype, strict=True))
    best, own = _lightgbm(plain_runs), Method(source=wide_runs)

    def gap(label: str, source: Source) -> Row:
        return _row(label, _BUDGETS, lambda e: Difference(best, Method(source=source).at(e)))

    def least(budget: float, cell: Callable[[float], Cell]) -> Cell:
        return cell(wanted.least[budget]) if budget in wanted.least else _NOTHING

    rows = (
        _row("goal, at most", _BUDGETS, lambda e: Given(goal[e])),
        gap("filtered card", wide_runs),
        _row("goal reached?", _BUDGETS, lambda e: Reached(goal[e], best, own.at(e))),
        _row("the least that was asked, at most", _BUDGETS, lambda e: least(e, Given)),
        _row(
            "reached by the filtered card?",
            _BUDGETS,
            lambda e: least(e, lambda limit: Reached(limit, best, own.at(e))),
        ),
        _row(
            "filtered card, the plain card's characteristics",
            _BUDGETS,
            lambda e: Difference(best, Method(source=narrow_runs).at(e)) if e in _SMALL_BUDGETS else _NOTHING,
        ),
        gap("plain card", plain_runs),
        _row("prototype of the filtered card", _BUDGETS, lambda e: Given(prototype[e])),
    )
    return Table(name=name, document=_DOCUMENT, columns=_heads(_BUDGETS), rows=rows)


def _published() -> Table:
    """Beside Maddock et al., on their rows and splits."""
    budgets = tuple(_PUBLISHED)
    plain, wide = _Card.of(runs.GMSC_COMPLETE), _Card.of(runs.GMSC_COMPLETE_WIDE)
    best = _lightgbm(runs.GMSC_COMPLETE)

    def card(label: str, methods: _Card) -> tuple[Row, Row, Row]:
        return (
            _row(label, budgets, lambda e: Mean(methods.own.at(e)), Mean(methods.pooled)),
            _row(
                less(label, "published"),
                budgets,
                lambda e: Above(methods.own.at(e), _PUBLISHED[e]),
                _NOTHING,
            ),
            _row(
                less("LightGBM", label),
                budgets,
                lambda e: Difference(best, methods.own.at(e)),
                Difference(best, methods.pooled),
            ),
        )

    prototype = {0.1: 0.8440, 0.5: 0.8509, 1.0: 0.8524}
    rows = (
        _row("published trees", budgets, lambda e: Given(_PUBLISHED[e]), _NOTHING),
        *card("plain card", plain),
        *card("filtered card", wide),
        _row("LightGBM, pooled, all columns", budgets, lambda _: _NOTHING, Mean(best)),
        _row("prototype of the plain card", budgets, lambda e: Given(prototype[e]), _NOTHING),
    )
    return Table(name="published", document=_DOCUMENT, columns=_heads(budgets, "no noise"), rows=rows)


def _shops() -> Table:
    """Natural parties."""
    plain, filtered = _Card.of(runs.SHOPS), _Card.of(runs.SHOPS_FILTERED)
    best = _lightgbm(runs.SHOPS)
    own, other = plain.own.at(1.0), filtered.own.at(1.0)
    local_noise = Method(source=runs.SHOPS, baseline=Baseline.LOCAL_NOISE, epsilon=1.0)

    def line(label: str, method: Method) -> Row:
        beside = tuple(
            _NOTHING if method == reference else Difference(minuend, subtrahend)
            for reference, minuend, subtrahend in (
                (best, best, method),
                (own, own, method),
                (other, other, method),
            )
        )
        return Row(label=label, cells=(Mean(method), *beside))

    rows = (
        line("plain card, shared noise, ε = 1", own),
        line("filtered card, shared noise, ε = 1", other),
        line("plain card, local noise, ε = 1", local_noise),
        line("plain card, pooled, no noise", plain.pooled),
        line("filtered card, pooled, no noise", filtered.pooled),
        line("plain cards of one shop each, no noise", plain.alone),
        line("filtered cards of one shop each, no noise", filtered.alone),
        line("LightGBM, pooled, all columns", best),
    )
    columns = ("AUC", less("LightGBM", "it"), less("plain card", "it"), less("filtered card", "it"))
    return Table(name="shops", document=_DOCUMENT, columns=columns, rows=rows)


def _costs() -> Table:
    """What a party sends."""

    def line(label: str, source: Source) -> Row:
        own = Method(source=source)
        return Row(
            label=label, cells=(Sums(own.at(0.1)), Sent(own.at(0.1)), Sums(own.at(1.0)), Sent(own.at(1.0)))
        )

    rows = (
        line("Taiwan, plain card", runs.TAIWAN),
        line("Taiwan, filtered card, the same characteristics", runs.TAIWAN_NARROW),
        line("Taiwan, filtered card", runs.TAIWAN_WIDE),
        line("Give Me Some Credit, plain card", runs.GMSC),
        line("Give Me Some Credit, filtered card, the same characteristics", runs.GMSC_NARROW),
        line("Give Me Some Credit, filtered card", runs.GMSC_WIDE),
    )
    columns = ("sums at ε = .1", "numbers in them", "sums at ε = 1", "numbers in these")
    return Table(name="costs", document=_DOCUMENT, columns=columns, rows=rows)


ACCURACY_TABLES = (
    _everything("taiwan", plain_runs=runs.TAIWAN, wide_runs=runs.TAIWAN_WIDE),
    _everything("gmsc", plain_runs=runs.GMSC, wide_runs=runs.GMSC_WIDE),
    _same_characteristics(
        "taiwan-narrow",
        plain_runs=runs.TAIWAN,
        narrow_runs=runs.TAIWAN_NARROW,
        wide_runs=runs.TAIWAN_WIDE,
    ),
    _same_characteristics(
        "gmsc-narrow", plain_runs=runs.GMSC, narrow_runs=runs.GMSC_NARROW, wide_runs=runs.GMSC_WIDE
    ),
    _alone(),
    _goals(
        "goal-taiwan",
        _TAIWAN_GOAL,
        plain_runs=runs.TAIWAN,
        narrow_runs=runs.TAIWAN_NARROW,
        wide_runs=runs.TAIWAN_WIDE,
    ),
    _goals(
        "goal-gmsc",
        _GMSC_GOAL,
        plain_runs=runs.GMSC,
        narrow_runs=runs.GMSC_NARROW,
        wide_runs=runs.GMSC_WIDE,
    ),
    _published(),
    _shops(),
    _costs(),
)
"""In the order of the document."""
