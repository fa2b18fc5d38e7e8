"""Pages that need nothing but themselves: one template, one style and one script each, allowed by their hashes alone."""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup


def render(template: str, **values: Any) -> bytes:
    """Render a page in UTF-8. Whatever ``values`` hold is escaped; only the package's own style and script are not."""
    environment = Environment(
        loader=PackageLoader("crashcart.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style, script = resource("style.css"), resource("report.js")
    page = environment.get_template(template)
    text = page.render(
        **values,
        style=Markup(style),  # noqa: S704 -- a file of this package
        script=Markup(script),  # noqa: S704 -- a file of this package
        style_hash=_csp_hash(style),
        script_hash=_csp_hash(script),
    )
    return text.encode("utf-8", "backslashreplace")


def resource(name: str) -> str:
    """Return a file of the package's templates."""
    return files("crashcart.reports").joinpath("templates", name).read_text("utf-8")


def _csp_hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
