"""The command line: playbooks as Invoke tasks, the fixed commands, exit codes."""
