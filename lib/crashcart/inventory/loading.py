"""From paths to an inventory."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from crashcart.errors import BadInput
from crashcart.inventory.files import Source, read_files, vars_folders
from crashcart.inventory.model import KINDS, Inventory
from crashcart.inventory.notes import Notes
from crashcart.inventory.reader import read_document
from crashcart.inventory.resolve import Resolver
from crashcart.inventory.tree import Tree
from crashcart.inventory.variables import Variables


def load(paths: Sequence[Path], *, sources: Mapping[str, Source] | None = None, kinds: Collection[str] = KINDS) -> Inventory:
    """Load files and folders into one inventory, as Ansible does for several ``-i``: what comes later wins.

    ``sources`` are what a file may name with ``source: NAME``; each returns the path of an inventory or an inventory itself.
    Raises ``BadInput`` with file, line and column for what cannot be read or makes no sense.
    """
    if not paths:
        raise BadInput("no inventory was given", hint="--inventory takes a YAML file or a folder of them")
    notes, tree = Notes(), Tree()
    for document in read_files(paths, sources or {}, notes):
        read_document(document, tree)
    tree.finish()
    return Resolver(tree, Variables(tree, vars_folders(paths), notes), kinds, notes).inventory()
