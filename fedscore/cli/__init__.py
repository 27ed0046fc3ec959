"""The one face of fedscore: the command `fedscore`.

A command, or a group of commands, is a module with a function `register` that adds it to the application, and
is listed in `fedscore.cli.main`. What only one command needs is imported when it runs.
"""
