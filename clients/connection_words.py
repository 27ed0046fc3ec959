"""How a database is reached, as libpq takes it, without what is secret: that stands in libpq's own files."""

from __future__ import annotations

import re

__all__ = ["CONNECTION_WORDS", "connection_problem"]

CONNECTION_WORDS = (
    "service",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "passfile",
    "connect_timeout",
    "application_name",
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "sslcrl",
    "target_session_attrs",
)
"""What may be said of a connection in a configuration: nothing that is secret itself."""

_WORD = re.compile(r"\s*(\w+)\s*=\s*(?:'(?:[^'\\]|\\.)*'|(?:[^\s'\\]|\\.)+)(?=\s|$)")


def connection_problem(words: str) -> str | None:
    """What is wrong with the words that describe a connection.

    Args:
        words: As libpq takes them, "service=scoring" or "host=db dbname=shop user=node"; nothing leaves all
            to the environment (PGSERVICE, PGHOST, ...).

    Returns:
        What is wrong, without what stands there; None if nothing is.
    """
    at = 0
    while at < len(words) and words[at:].strip():
        match = _WORD.match(words, at)
        if match is None:
            return 'it must be words as "service=scoring" or "host=db dbname=shop user=node"'
        if match[1] not in CONNECTION_WORDS:
            return (
                f"the word {match[1]} has no place here: give {', '.join(CONNECTION_WORDS)}; "
                "passwords stand in libpq's password file or service file"
            )
        at = match.end()
    return None
