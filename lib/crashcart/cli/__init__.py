"""The command line: playbooks as Invoke tasks, the fixed commands, exit codes.

Every command line builds every command, so what costs time to import is imported by the function that needs it: ``--list``
and completion must stay close to bare Invoke.
"""
