"""All generated pages, by their path in the site."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from crashcart.operations import SHIPPED
from website import commands, operations, playbooks
from website.playbooks import Reference


@cache
def generated_pages() -> Mapping[str, str]:
    """Return the Markdown of each generated page. Made once for a build, from the checkout as it is."""
    reference = Reference()
    drills = {drill.name for drill in reference.drills.values()}
    return {
        commands.PATH: commands.commands_page({*reference.playbooks, *drills}),
        f"{playbooks.FOLDER}/index.md": reference.index(),
        **{f"{playbooks.FOLDER}/{name}.md": reference.page(name) for name in reference.playbooks},
        f"{operations.FOLDER}/index.md": operations.operation_index(),
        **{f"{operations.FOLDER}/{name}.md": reference.operation_page(name) for name in SHIPPED},
    }
