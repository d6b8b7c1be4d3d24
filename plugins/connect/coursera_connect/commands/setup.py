"""The verbs of the set-up path, in the order in which an administrator walks it."""

from __future__ import annotations

from coursera_connect.commands import attributes, connection, grades, items, schools, setting_up, settings

COMMANDS = (
    setting_up.setup,
    *settings.COMMANDS,
    connection.test,
    schools.schools,
    schools.mapping_files,
    attributes.attributes,
    items.items,
    grades.grades,
)
