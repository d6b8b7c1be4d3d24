"""The expected errors. The message of each is one sentence: what went wrong, why, and what to do."""


class OneRosterError(Exception):
    """An expected failure. No name, e-mail or cell of a file is in its sentence."""


class SettingError(OneRosterError):
    """A profile, version, mode, privacy level or attribute cannot be used as it is."""


class KeyMissingError(SettingError):
    """A privacy level needs a key, and none was given."""


class PackageError(OneRosterError):
    """A package that was to be read is missing, no zip, damaged, or unpacks to too much."""
