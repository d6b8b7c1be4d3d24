"""Arguments of commands that may be ids of Coursera."""

from __future__ import annotations

import re
from operator import length_hint

import click

_DASHED_ID = re.compile(r"-[A-Za-z0-9_-]{21}")


class WithIds(click.Command):
    """A command whose arguments may be ids of Coursera, of which one in 64 begins with a dash as options do."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put all arguments behind a `--`, in their order, so that none is taken for options."""
        valued = {name for one in self.params if isinstance(one, click.Option) and not one.is_flag for name in one.opts}
        options: list[str] = []
        words: list[str] = []
        rest = iter(args)
        for word in rest:
            if word == "--":
                words += rest
            elif not word.startswith("-") or _DASHED_ID.fullmatch(word):
                words.append(word)
            else:
                options += [word, *([next(rest)] if word in valued and length_hint(rest) else [])]
        return super().parse_args(ctx, [*options, "--", *words])
