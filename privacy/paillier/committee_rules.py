"""Which committees may hold a key: how many members must open together.

Two quantities are never one: N members, of whom `colluding_members` may tell the server everything they hold;
and the threshold t of members who open together. What the server gathers is up to it, so

- t > c always: otherwise the colluding members alone open whatever they like;
- 2t > N + c wherever more than one cohort may be opened, because parties may be absent: any two sets of t
  members then share 2t - N > c members, so an honest one, who helps to open one cohort of a round and no
  other. Otherwise the sum with and without one party, opened in one round, shows that party's vector.
"""

from __future__ import annotations

from fedscore.errors import KeyRefused

__all__ = ["MAXIMUM_MEMBERS", "require_committee_rules", "require_threshold"]

MAXIMUM_MEMBERS = 32
"""The largest committee: exponents grow with the logarithm of members!."""


def require_threshold(*, members: int, threshold: int) -> None:
    """Refuse a committee that cannot exist.

    Args:
        members: Number of members N, 1 to `MAXIMUM_MEMBERS`.
        threshold: Number of members t who open together, 1 to N.

    Raises:
        KeyRefused: One of the two is out of range.
    """
    if not 1 <= members <= MAXIMUM_MEMBERS:
        raise KeyRefused(f"a committee of {members} is refused: choose 1 to {MAXIMUM_MEMBERS} members")
    if not 1 <= threshold <= members:
        raise KeyRefused(
            f"a threshold of {threshold} of {members} members is refused: choose one from 1 to {members}"
        )


def require_committee_rules(*, members: int, threshold: int, colluding_members: int, absences: bool) -> None:
    """Refuse a committee that could open more than the agreed sums.

    Args:
        members: Number of members N.
        threshold: Number of members t who open together.
        colluding_members: Number c of members who may collude with the server, 0 to N - 1.
        absences: Whether parties may be absent, so that more than one cohort is admissible in a round.

    Raises:
        KeyRefused: There is no such committee, t <= c, or 2t <= N + c where parties may be absent. The
            message names the least threshold that would do.
    """
    require_threshold(members=members, threshold=threshold)
    if not 0 <= colluding_members < members:
        raise KeyRefused(
            f"{colluding_members} colluding members of {members} are refused: count on 0 to {members - 1}; "
            "where all members may collude, no threshold helps"
        )
    if threshold <= colluding_members:
        raise KeyRefused(
            f"a committee in which {threshold} of {members} open is refused where {colluding_members} may "
            f"collude: these would open every vector alone; the threshold must be above "
            f"{colluding_members}, so {_least_threshold(members, colluding_members, absences)} or more"
        )
    if absences and 2 * threshold <= members + colluding_members:
        raise KeyRefused(
            f"a committee in which {threshold} of {members} open and {colluding_members} may collude is "
            "refused where parties may be absent: two sets of members could open two cohorts of one round; "
            f"twice the threshold must be above {members + colluding_members}, so choose "
            f"{_least_threshold(members, colluding_members, absences)} or more, or allow no absences"
        )


def _least_threshold(members: int, colluding_members: int, absences: bool) -> int:  # noqa: FBT001 - local
    return (members + colluding_members) // 2 + 1 if absences else colluding_members + 1
