"""The runs that the tables share: each is made once, however many tables show it."""

from __future__ import annotations

from simulations.paper.sources import Source

__all__ = [
    "GMSC",
    "GMSC_ALONE",
    "GMSC_COMPLETE",
    "GMSC_COMPLETE_WIDE",
    "GMSC_NARROW",
    "GMSC_NEURAL",
    "GMSC_WIDE",
    "SHOPS",
    "SHOPS_FILTERED",
    "TAIWAN",
    "TAIWAN_ALONE",
    "TAIWAN_NARROW",
    "TAIWAN_NEURAL",
    "TAIWAN_WIDE",
]

_PLAIN = ('learner.recipe="plain"',)
_FILTERED = 'learner.recipe="filtered"'
# LightGBM sees whole rows and no contract: on one split it is the same beside every card. Filtered cards with
# local noise would take longer than all else together.
_WIDE = ("privacy.epsilon=[0.1, 0.5, 1, 2, 8]", 'baselines=["pooled-no-noise"]')
_NARROW = (_FILTERED, "privacy.epsilon=[0.1, 0.5, 1]", 'baselines=["pooled-no-noise"]')
_ALONE = ("privacy.epsilon=[1]", 'baselines=["local-only"]')

TAIWAN = Source(name="taiwan", scenario="taiwan", settings=_PLAIN)
TAIWAN_WIDE = Source(name="taiwan-wide", scenario="taiwan-wide", settings=_WIDE)
TAIWAN_ALONE = Source(name="taiwan-alone", scenario="taiwan-wide", settings=_ALONE)
TAIWAN_NARROW = Source(name="taiwan-narrow", scenario="taiwan", settings=_NARROW)
TAIWAN_NEURAL = Source(name="taiwan-neural", scenario="taiwan-neural")
GMSC = Source(name="gmsc", scenario="gmsc", settings=_PLAIN)
GMSC_WIDE = Source(name="gmsc-wide", scenario="gmsc-wide", settings=_WIDE)
GMSC_ALONE = Source(name="gmsc-alone", scenario="gmsc-wide", settings=_ALONE)
GMSC_NARROW = Source(name="gmsc-narrow", scenario="gmsc", settings=_NARROW)
GMSC_NEURAL = Source(name="gmsc-neural", scenario="gmsc-neural", settings=('baselines=["scorecard"]',))
GMSC_COMPLETE = Source(name="gmsc-complete", scenario="gmsc-complete", settings=_PLAIN)
GMSC_COMPLETE_WIDE = Source(
    name="gmsc-complete-wide", scenario="gmsc-complete-wide", settings=('baselines=["pooled-no-noise"]',)
)
SHOPS = Source(name="shops", scenario="pakdd_shops", settings=_PLAIN)
SHOPS_FILTERED = Source(
    name="shops-filtered",
    scenario="pakdd_shops",
    settings=(_FILTERED, 'baselines=["pooled-no-noise", "local-only"]'),
)
