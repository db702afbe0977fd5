"""Wires the rooms for each role; one module a command; the embedded broker. The only room that reads the settings.

Enters: the command line's arguments and the settings file. Leaves: running roles, printed lines, an exit code.
May import everything. Each command module has `add_arguments(parser)` and `run(args) -> int`.
Heavy imports happen inside `run`, so that the help answers at once.
"""
