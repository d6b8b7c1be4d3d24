"""OneRoster CSV packages: checked, masked, written and replayed.

`validate` checks a package or tables, `report` says what was found, `profile` has what readers want, `output` and
`package` write, `replay` tells what a reader holds after several packages. Failures are `errors.OneRosterError`.
"""
