"""Takes passwords out of addresses, whatever form they come in, before anything is printed, logged or stored."""

from __future__ import annotations

import re

_HIDDEN = "***"
_COLON, _AT = "(?::|%3[Aa])", "(?:@|%40)"
_SCHEMES = "s?ftps?|ssh|scp|smb|webdavs?|https?|postgres(?:ql)?|s3a?|abfs|az|gcs|gs|oci|oss|tos"
# `user:password@`, behind `scheme://` or what somebody wrote in its place, or at the beginning of a word. A password
# may hold every sign of an address, so it goes on to the last @; after a scheme that takes one, over blanks, too.
_NAMED = rf"(?P<before>\b(?:{_SCHEMES}):?/{{0,3}}[^\s/:@%]+{_COLON})"
_ANY = rf"(?P<start>(?:[A-Za-z][A-Za-z0-9+.-]*:/{{0,3}}|//|^|(?<=[\s'\"`(=/]))/?[^\s/:@%'\"`(]*{_COLON}(?!/))"
_WITH_BLANKS = re.compile(rf"{_NAMED}.*(?={_AT})", re.IGNORECASE)
_ONE_WORD = re.compile(rf"{_ANY}\S*(?={_AT})", re.MULTILINE)


def redacted(text: str) -> str:
    """Return the text with `***` for every password of an address in it."""
    if "@" not in text and "%40" not in text:
        return text
    return _ONE_WORD.sub(rf"\g<start>{_HIDDEN}", _WITH_BLANKS.sub(rf"\g<before>{_HIDDEN}", text))
