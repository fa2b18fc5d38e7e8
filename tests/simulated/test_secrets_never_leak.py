"""Secrets go in by every way there is, and come out by none: every output is searched for them, in every form."""

from __future__ import annotations

import itertools
import string
import traceback
import uuid
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crashcart.errors import BadInput
from crashcart.plan import Rollout
from crashcart.playbooks.compile import Compiler
from crashcart.playbooks.library import Library
from crashcart.playbooks.render import Renderer
from crashcart.secrets import Secret
from crashcart.targets import Selection, Target
from tests.simulated.leaking import WAYS, Leaky, forms, leaks

ALPHABET = string.ascii_letters + string.digits + " !\"#$%&'()*+,-./:;<=>?@[]^_`|~\\äß€"
SECRETS = st.lists(
    st.text(ALPHABET, min_size=10, max_size=24).map(lambda text: f"s3{text.strip()}Q"), min_size=5, max_size=5, unique=True
)
"""Neither words of ours nor of a test's, so that finding one is finding the secret."""

_numbers = itertools.count()


@pytest.fixture
def leaky(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Leaky:
    return Leaky(tmp_path, monkeypatch)


FEW = settings(
    max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@pytest.mark.parametrize("way", WAYS)
@FEW
@given(secrets=SECRETS)
def test_a_run_tells_no_secret_however_it_ends(leaky: Leaky, way: str, secrets: list[str]) -> None:
    outputs = leaky.run(next(_numbers), secrets, way)
    assert any(where.endswith("events.jsonl") for where in outputs), outputs["stderr"]
    assert "recover.leak" in outputs["plain console"]
    assert "recover.leak" in outputs["live console"]
    assert leaks(outputs, secrets) == []


DOCUMENTS: list[dict[str, object]] = [{"output": "json"}, {"check": True}, {"plan": True}, {"diff": True}, {"report": True}]


@pytest.mark.parametrize("flags", DOCUMENTS, ids=str)
@FEW
@given(secrets=SECRETS)
def test_no_document_and_no_plan_tells_one(leaky: Leaky, flags: dict[str, object], secrets: list[str]) -> None:
    outputs = leaky.run(next(_numbers), secrets, "well", **flags)
    assert any(where.endswith("events.jsonl") for where in outputs), outputs["stderr"]
    assert not flags.get("output") or '"schema": 1' in outputs["stdout"]
    assert not flags.get("report") or any(where.endswith("junit.xml") for where in outputs)
    assert not flags.get("plan") or any(where.endswith("out/plan") for where in outputs)
    assert leaks(outputs, secrets) == []


def test_evidence_is_kept_without_them(leaky: Leaky) -> None:
    secrets = [f"s3cret-number-{number}" for number in range(5)]
    outputs = leaky.run(next(_numbers), secrets, "well")
    kept = [text for where, text in outputs.items() if "/evidence/" in where]
    assert kept
    assert all("***" in text for text in kept)
    assert leaks(outputs, secrets) == []


def test_the_search_itself_finds_each_form() -> None:
    known = 'it\'s a "näme" & more'
    for form in forms(known):
        assert leaks({"here": f"before {form} after"}, [known])


BY_TYPE = {
    "int": "12x34secret",
    "percent": "secret-percent",
    "bool": "maybe-secret",
    "duration": "secret-time",
    "path": "p4ss",
}


@pytest.mark.parametrize("kind", BY_TYPE)
def test_a_secret_parameter_that_is_wrong_is_not_repeated(tmp_path: Path, kind: str) -> None:
    """Neither in the message nor in what a traceback would show below it."""
    (tmp_path / "recover").mkdir()
    text = f"summary: x\nkinds: [linux]\nparams:\n  db_password: {{type: {kind}, help: x}}\nsteps:\n  - host.ping: {{}}\n"
    (tmp_path / "recover/mine.yml").write_text(text)
    compiler = Compiler(Library(tmp_path).playbook("recover.mine"), {"db_password": BY_TYPE[kind]})
    with pytest.raises(BadInput, match="--db-password") as caught:
        compiler.plan(Selection("h", (Target("h"),)), Rollout())
    assert BY_TYPE[kind] not in "".join(traceback.format_exception(caught.value))


TEMPLATES = (
    *("{{ p.reveal() }}", "{{ p.reveal }}", "{{ p._text }}", "{{ p | attr('reveal') }}", "{{ '{0._text}'.format(p) }}"),
    *(
        "{{ p | string }}",
        "{{ p | tojson }}",
        "{{ p | list }}",
        "{{ p | pprint }}",
        "{{ p | upper }}",
        "{{ p | urlencode }}",
    ),
    *("{{ p ~ '' }}", "x{{ p }}", "{{ '%s' % p }}", "{{ [p] | join }}", "{{ [p] | map('string') | join }}"),
)


@pytest.mark.parametrize("template", TEMPLATES)
def test_no_template_of_a_playbook_gets_at_one(template: str) -> None:
    text = str(uuid.uuid4())  # not in this file's own lines, which a traceback quotes
    try:
        rendered = repr(Renderer().render(template, {"p": Secret(text)}))
    except ValueError as error:
        rendered = "".join(traceback.format_exception(error))
    assert text not in rendered
