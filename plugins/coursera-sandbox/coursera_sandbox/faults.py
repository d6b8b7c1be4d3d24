"""Faults on request: their names, their syntax, and which requests they strike.

A spec is `NAME` or `NAME:key=value,key=value`. Any fault takes `rate` (0 to 1, share of the requests that it strikes,
1 by default), `times` (how often at most) and `path` (only requests whose path contains this text). Which requests
are struck follows from the seed and the number of the request, so a run can be repeated.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field

FAULTS = {
    "429": "too many requests; retry-after=SECONDS adds the header, spike=1 words it as a spike arrest",
    "500": "an error of the service",
    "502": "a bad gateway, as HTML",
    "503": "service unavailable; retry-after=SECONDS adds the header",
    "504": "gateway timeout",
    "latency": "waits ms=MILLISECONDS (default 100) before it answers",
    "drop": "closes the connection without an answer",
    "truncate": "breaks off in the middle of the body",
    "html": "a web page with status 200 instead of JSON",
    "token-revoked": "forgets the token of the request, then answers 401",
    "token-expires": "tokens live only seconds=SECONDS (default 5), whatever expires_in says",
    "short-pages": "pages have fewer rows than asked for, though more remain",
    "shifting-rows": "after the first page a row is inserted ahead; with lose=1 the first row is removed instead",
    "missing-total": "paging has no total",
    "extra-fields": "unknown members in the envelope and in every element",
}
_COMMON = {"rate", "times", "path"}
_OPTIONS = {
    "429": {"retry-after", "spike"},
    "503": {"retry-after"},
    "latency": {"ms"},
    "token-expires": {"seconds"},
    "shifting-rows": {"lose"},
}


@dataclass
class Fault:
    """One fault in force."""

    name: str
    options: dict[str, str]
    spec: str
    struck: int = 0
    shifted: set[str] = field(default_factory=set)
    """Lists whose rows have shifted (`shifting-rows`)."""

    @classmethod
    def parse(cls, spec: str) -> Fault:
        """Read a spec; ValueError says what is wrong with it."""
        name, _, rest = spec.strip().partition(":")
        if name not in FAULTS:
            raise ValueError(f"There is no fault {name!r}; there are: {', '.join(FAULTS)}.")
        options = {}
        for pair in filter(None, rest.split(",")):
            key, equals, value = pair.partition("=")
            if key not in _COMMON | _OPTIONS.get(name, set()) or not equals:
                known = ", ".join(sorted(_COMMON | _OPTIONS.get(name, set())))
                raise ValueError(f"Fault {name!r} has no option {pair!r}; it takes: {known}.")
            options[key] = value
        fault = cls(name, options, spec.strip())
        for key in options.keys() - {"path"}:
            fault.number(key)
        return fault

    def number(self, key: str, default: float = 0.0) -> float:
        """Return the number that an option holds; ValueError if it is not a number."""
        value = self.options.get(key)
        if value is None:
            return default
        try:
            return float(value)
        except ValueError:
            raise ValueError(f"Option {key} of fault {self.name!r} has to be a number, not {value!r}.") from None

    def strikes(self, seed: int, request: int, path: str) -> bool:
        """Return whether the fault strikes this request, and count it if so."""
        if self.options.get("path", "") not in path:
            return False
        if self.struck >= self.number("times", math.inf):
            return False
        chance = random.Random(f"{seed} {self.name} {request}").random()  # noqa: S311 - repeatable, on purpose
        if chance >= self.number("rate", 1.0):
            return False
        self.struck += 1
        return True
