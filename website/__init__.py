"""The documentation site's generated part: a page per playbook and operation, and one of all commands. See mkdocs.yml."""
