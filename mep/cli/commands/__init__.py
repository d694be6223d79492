"""The commands: parse, delegate, exit code. One file per command, named like it; each defines `command`.

A file here is loaded when its command is called, so what the others import costs nothing.
"""
