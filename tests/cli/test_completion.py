"""Shell completion, as the shells ask for it: what is offered, how fast, and that nothing is ever said aloud."""

from __future__ import annotations

import json
import os
import pty
import re
import resource
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from crashcart.cli.completion import split_line
from crashcart.cli.completion_cache import Cache as Kept
from crashcart.cli.completion_sources import Sources
from crashcart.clock import SystemClock
from crashcart.inventory.aws_find import Found
from crashcart.inventory.aws_source import AwsSource, Cache, Options
from crashcart.lab.aws.faults import AWS_FAULTS
from tests.cli.conftest import CHECKOUT

BIN = Path(sys.executable).parent
HEAVY = ("boto3", "botocore", "fabric", "paramiko", "rich", "jinja2", "moto")
RUNS = ("20300101-030000-aaaaaa", "20300102-030000-bbbbbb")

INVENTORY = """
web: {hosts: {"web[1:3]": , "$(reboot)": , "a b": }}
db: {hosts: {db1: , db2: }}
odd;group: {hosts: {db1: }}
"""


class Shell:
    """Completion in a folder of its own: an inventory, two runs, a cache."""

    def __init__(self, folder: Path, cwd: Path = CHECKOUT) -> None:
        self.folder, self.cwd = folder, cwd
        self.inventory = folder / "hosts.yml"
        self.inventory.write_text(INVENTORY)
        for run in RUNS:
            (folder / "state/runs" / run).mkdir(parents=True)
            (folder / "state/runs" / run / "events.jsonl").touch()
        self.environment = {
            **os.environ,
            "PATH": f"{BIN}:{os.environ['PATH']}",
            "HOME": str(folder),
            "XDG_CACHE_HOME": str(folder / "cache"),
            "XDG_DATA_HOME": str(folder / "data"),
            "CRASHCART_STATE": str(folder / "state"),
            "CRASHCART_INVENTORY": str(self.inventory),
            "TERM": "xterm",
            "LC_ALL": "C.UTF-8",
        }

    def run(self, *words: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            words, cwd=cwd or self.cwd, env=self.environment, capture_output=True, text=True, timeout=60, check=False
        )

    def ask(self, *words: str, kind: str = "fish") -> tuple[int, list[str]]:
        """The exit status and the candidates, without their meanings."""
        done = self.run(BIN / "crashcart", "--complete", kind, *words)
        assert done.stderr == ""
        return done.returncode, [line.split("\t")[0] for line in done.stdout.splitlines()]

    def offers(self, *words: str) -> list[str]:
        status, found = self.ask(*words)
        assert status == 0
        return found


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """One for all tests that change nothing: the first Tab reads all commands, later ones what was kept."""
    return Shell(tmp_path_factory.mktemp("shell"))


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["inv", "recover.disk"], ["recover.disk-space"]),
        (["crashcart", "recover.disk"], ["recover.disk-space"]),
        (["invoke", "runs.sho"], ["runs.show"]),
        (["inv", "--help", "check.dis"], ["check.disk"]),
        (["inv", "check.disk", "--out"], ["--output"]),
        (["inv", "check.disk", "--output", ""], ["text", "json"]),
        (["inv", "check.disk", "--output=j"], ["--output=json"]),
        (["inv", "check.disk", "--hosts", "web"], ["web", "web1", "web2", "web3"]),
        (["inv", "check.disk", "--hosts", "web1,web"], ["web1,web", "web1,web2", "web1,web3"]),
        (["inv", "check.disk", "--hosts", "web:!web"], ["web:!web1", "web:!web2", "web:!web3"]),
        (["inv", "check.disk", "--hosts", "all,&d"], ["all,&db", "all,&db1", "all,&db2"]),
        (["inv", "check.disk", "--hosts", "web*:!d"], ["web*:!db", "web*:!db1", "web*:!db2"]),
        (["inv", "check.disk", "--hosts=db"], ["--hosts=db", "--hosts=db1", "--hosts=db2"]),
        (["inv", "runs.show", ""], ["last", *reversed(RUNS)]),
        (["inv", "runs.show", "--run", "2030"], list(reversed(RUNS))),
        (["inv", "runs.sign-off", "2030"], list(reversed(RUNS))),
        (["inv", "inventory.show", "--hosts", "db"], ["db", "db1", "db2"]),
        (["inv", "drill.disk-space", "--variant", "bytes,i"], ["bytes,inodes"]),
        (["inv", "lab.fault-add", "aws.failover-"], [name for name in AWS_FAULTS if name.startswith("aws.failover-")]),
        (["inv", "lab.fault-add", "--name=aws.throttle"], ["--name=aws.throttle"]),
        (["inv", "recover.nothing", "--hosts", "w"], []),
    ],
)
def test_what_is_offered(shell: Shell, words: list[str], expected: list[str]) -> None:
    assert shell.offers(*words) == expected


def test_flags_of_a_command_are_its_own_and_not_those_given_already(shell: Shell) -> None:
    found = shell.offers("inv", "recover.disk-space", "--hosts", "web", "--")
    assert {"--below", "--check", "--reason", "--break-glass"} <= set(found)
    assert not {"--hosts", "--unit"} & set(found)
    behind_a_switch = shell.offers("inv", "recover.service-limits", "--restart", "")
    assert "--memory-max" in behind_a_switch
    assert "--restart" not in behind_a_switch


@pytest.mark.parametrize(
    "words",
    [
        ["check.disk", "--inventory"],
        ["check.disk", "--report"],
        ["recover.disk-space", "--plan"],
        ["recover.disk-space", "--approved"],
        ["runs.approve"],
        ["runs.approve", "--key"],
        ["runs.report", "last", "--report"],
        ["runs.show"],
    ],
)
def test_file_names_are_left_to_the_shell(shell: Shell, words: list[str]) -> None:
    assert shell.ask("inv", *words, "/tm") == (1, [])


def test_a_flag_called_like_one_that_completes_does_so_in_every_command(shell: Shell) -> None:
    open_ended = []
    for name, command in Sources("inv", CHECKOUT, Kept(shell.folder / "all")).commands.items():
        for flag, option in command.flags.items():
            named = flag in {"--hosts", "--run", "--output", "--variant", "--inventory", "--plan", "--key", "--file"}
            if name.partition(".")[2] and option.takes and named and option.value == "text" and not option.values:
                open_ended.append(f"{name} {flag}")
    assert open_ended == []


def test_names_that_a_shell_would_read_are_not_offered(shell: Shell) -> None:
    found = shell.offers("inv", "check.disk", "--hosts", "")
    assert {"all", "web", "db", "web1", "db2"} <= set(found)
    assert not [name for name in found if any(sign in name for sign in " $();")]


@pytest.mark.parametrize("ending", [">&-", "| exec true", ">/dev/full"])
def test_where_nobody_hears_nothing_is_said(shell: Shell, ending: str) -> None:
    """The process ends without Python's own ending, which would have flushed what was printed."""
    ask = "crashcart --complete zsh inv check.disk --hosts ''"
    done = shell.run("bash", "-c", f"{ask} {ending}; echo ${{PIPESTATUS[0]}}")
    assert (done.stdout, done.stderr) == ("0\n", "")


def test_meanings_stand_behind_a_tab(shell: Shell) -> None:
    done = shell.run(BIN / "crashcart", "--complete", "zsh", "inv", "check.disk", "--hosts", "d")
    assert done.stdout.splitlines()[0] == "db\tgroup, 2 targets"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("inv che", ["inv", "che"]),
        ("inv check.disk ", ["inv", "check.disk", ""]),
        ("inv check.disk --hosts 'web:&d", ["inv", "check.disk", "--hosts", "web:&d"]),
        ('inv x --reason "a b" --ho', ["inv", "x", "--reason", "a b", "--ho"]),
    ],
)
def test_a_line_up_to_the_cursor(line: str, words: list[str]) -> None:
    assert split_line(line) == words


def test_bash_gets_only_what_it_will_replace(shell: Shell) -> None:
    assert shell.ask("inv check.disk --hosts web1:db", "db", kind="bash") == (0, ["db", "db1", "db2"])
    assert shell.ask("inv check.disk --hosts=db", "db", kind="bash") == (0, ["db", "db1", "db2"])
    assert shell.ask("inv check.disk --hosts 'web1:db", "'web1:db", kind="bash")[1][0] == "web1:db"


def test_invoke_s_own_protocol_is_answered_by_inv(shell: Shell) -> None:
    done = shell.run(BIN / "inv", "--complete", "--", "inv", "check.disk", "--output")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == ["--output", "text", "json"]


def test_another_project_is_left_to_invoke(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "tasks.py").write_text("from invoke import task\n\n@task\ndef bake(c):\n    pass\n")
    assert shell.run(BIN / "crashcart", "--complete", "fish", "inv", "b", cwd=tmp_path).returncode == 3
    script = 'eval "$(crashcart --print-completion-script bash)"; COMP_WORDS=(inv ba); COMP_LINE="inv ba"; COMP_POINT=6; '
    done = shell.run("bash", "-c", f'{script} _crashcart_complete inv ba; echo "$COMPREPLY"', cwd=tmp_path)
    assert done.stdout == "bake\n"


def test_an_unknown_shell_is_bad_input(shell: Shell) -> None:
    done = shell.run(BIN / "crashcart", "--print-completion-script", "fisch")
    assert done.returncode == 2
    assert "did you mean fish?" in done.stderr


# ---- an inventory that changes, is broken, or is somewhere else --------------------------------------------------------


def test_a_change_of_the_inventory_is_seen_at_once(tmp_path: Path) -> None:
    own = Shell(tmp_path)
    assert own.offers("inv", "check.disk", "--hosts", "ca") == []
    own.inventory.write_text("cache: {hosts: {cache1: }}")
    assert own.offers("inv", "check.disk", "--hosts", "ca") == ["cache", "cache1"]


@pytest.mark.parametrize("text", ["all: [", "a: {hosts: {x: {kind: nonsense}}, nonsense: 1}", "\x00", "source: nobody"])
def test_a_broken_inventory_says_nothing_on_the_prompt(tmp_path: Path, text: str) -> None:
    own = Shell(tmp_path)
    own.inventory.write_text(text)
    status, found = own.ask("inv", "check.disk", "--hosts", "we")
    assert (status, found) == (0, [])


def test_a_missing_inventory_and_a_broken_tasks_file_say_nothing(tmp_path: Path) -> None:
    own = Shell(tmp_path, cwd=tmp_path)
    (tmp_path / "tasks.py").write_text("import crashcart\nraise SystemError('no')\n")
    own.inventory.unlink()
    assert own.ask("inv", "che") == (0, [])
    assert own.ask("crashcart", "check.disk", "--hosts", "w") == (0, [])


@pytest.mark.parametrize("end", ["", "sys.exit('no')", "1 / 0"])
def test_what_a_tasks_file_says_when_it_is_imported_is_no_candidate(tmp_path: Path, end: str) -> None:
    own = Shell(tmp_path, cwd=tmp_path)
    front = "from crashcart.cli.namespace import build_namespace\nnamespace = build_namespace(None)\n"
    (tmp_path / "tasks.py").write_text(f"import sys\nprint('check.loud')\nprint('loud', file=sys.stderr)\n{front}{end}\n")
    assert own.ask("inv", "check.d") == (0, [] if end else ["check.database", "check.deploy", "check.disk", "check.drift"])


def test_aws_is_completed_from_what_was_found_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = Shell(tmp_path)
    options = {"regions": ["eu-central-1"], "aws_endpoint_url": "http://127.0.0.1:1", "cache": "1m"}
    own.inventory.write_text(json.dumps({"source": "aws", **options}))
    assert own.offers("inv", "check.rds", "--hosts", "or") == []
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
            own.environment.pop(name, None)
    kept = AwsSource(Options(("eu-central-1",), aws_endpoint_url="http://127.0.0.1:1", cache="1m")).kept()[1].name
    found = Found("rds_cluster", "orders", "orders", "eu-central-1")
    Cache(tmp_path / "cache/crashcart/inventory" / kept, SystemClock()).write([found])
    assert own.offers("inv", "check.rds", "--hosts", "or") == ["orders"]


# ---- speed -------------------------------------------------------------------------------------------------------------


def test_a_tab_over_a_thousand_targets_takes_less_than_200_ms(tmp_path: Path) -> None:
    own = Shell(tmp_path)
    own.inventory.write_text('web: {hosts: {"web-[0001:1000].example.com": {ansible_user: ops}}}')

    def once() -> float:
        """Seconds of processor time: what else this machine does is not measured."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert len(own.offers("inv", "check.disk", "--hosts", "web-")) == 1000
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    once()
    assert min(once() for _ in range(5)) < 0.2


@pytest.mark.parametrize("words", [["inv", "recover."], ["inv", "check.disk", "--hosts", "w"], ["inv", "runs.show", ""]])
def test_nothing_heavy_is_imported_kept_or_not(tmp_path: Path, words: list[str]) -> None:
    own = Shell(tmp_path)
    script = "import sys; from crashcart.cli.completion import main; main(sys.argv[1:]); print('--', *sys.modules)"
    for _ in range(2):
        done = own.run(sys.executable, "-c", script, "fish", *words)
        offered, _, modules = done.stdout.partition("--")
        assert offered
        assert not set(HEAVY) & set(modules.split())
    assert "invoke" not in modules.split()


def test_a_playbook_that_changed_is_read_without_invoke(tmp_path: Path) -> None:
    """And so are one that was added and one that was removed: nothing else than tasks.py needs Invoke."""
    own, root = Shell(tmp_path), tmp_path / "checkout"
    shutil.copytree(CHECKOUT / "playbooks", root / "playbooks")
    shutil.copy(CHECKOUT / "tasks.py", root)
    os.utime(root / "tasks.py", (1, 1))
    script = "import sys; from crashcart.cli.completion import main; main(sys.argv[1:]); print('--', *sys.modules)"

    def ask() -> tuple[list[str], set[str]]:
        done = own.run(sys.executable, "-c", script, "fish", "inv", "recover.disk", cwd=root)
        assert done.stderr == ""
        offered, _, modules = done.stdout.partition("--")
        return offered.splitlines(), set(modules.split())

    assert ask()[0][0].startswith("recover.disk-space\t")
    playbook = root / "playbooks/recover/disk-space.yml"
    playbook.write_text(re.sub("^summary: .*$", "summary: Changed", playbook.read_text(), flags=re.MULTILINE))
    shutil.copy(playbook, playbook.with_name("disk-other.yml"))
    (root / "playbooks/recover/service-limits.yml").unlink()
    offered, modules = ask()
    assert offered == ["recover.disk-other\tChanged", "recover.disk-space\tChanged"]
    assert "yaml" in modules
    assert not {"invoke", *HEAVY} & modules


def test_many_at_once_without_a_cache(tmp_path: Path) -> None:
    own = Shell(tmp_path)
    words = [str(BIN / "crashcart"), "--complete", "fish", "inv", "check.disk", "--hosts", "web"]
    running = [
        subprocess.Popen(
            words, cwd=own.cwd, env=own.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        for _ in range(4)
    ]
    said = {process.communicate(timeout=60)[0] for process in running}
    assert said == {"web\tgroup, 5 targets\nweb1\ttarget\nweb2\ttarget\nweb3\ttarget\n"}
    kept = list((tmp_path / "cache/crashcart/completion").iterdir())
    assert not [path for path in kept if path.name.startswith(".")]
    assert all(json.loads(path.read_bytes()) for path in kept)


# ---- real shells -------------------------------------------------------------------------------------------------------


class Terminal:
    """A shell on a terminal of its own; what is typed is typed, Tab included."""

    def __init__(self, shell: Shell, *words: str) -> None:
        self._process, self._end = pty.fork()
        if self._process == 0:
            os.chdir(shell.cwd)
            os.execvpe(words[0], list(words), {**shell.environment, "PS1": "> "})  # noqa: S606 -- it is a shell that is tested
        self._raw = ""

    @property
    def seen(self) -> str:
        """What was shown since the last word was typed, without what moves the cursor, rings, or colours."""
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b.|[\x00-\x09\x0b-\x1f]", "", self._raw)

    def type(self, text: str, until: str) -> str:
        """Type, and return what the terminal shows from then on once it shows this."""
        self._raw = ""
        os.write(self._end, text.encode())
        while until not in self.seen:
            assert select.select([self._end], [], [], 20)[0], f"{until!r} is not shown: {self.seen!r}"
            self._raw += os.read(self._end, 65536).decode(errors="replace")
        assert "Traceback" not in self.seen
        return self.seen

    def close(self) -> None:
        os.kill(self._process, signal.SIGKILL)
        os.waitpid(self._process, 0)
        os.close(self._end)


SETUP = {
    "bash": (["bash", "--norc", "--noprofile", "-i"], 'eval "$(crashcart --print-completion-script bash)"'),
    "zsh": (
        ["zsh", "-f", "-i"],
        'autoload -Uz compinit; compinit -u -D; eval "$(crashcart --print-completion-script zsh)"',
    ),
}


@pytest.fixture(params=SETUP)
def terminal(request: pytest.FixtureRequest, shell: Shell) -> Iterator[Terminal]:
    words, setup = SETUP[request.param]
    if not shutil.which(words[0]):
        pytest.skip(f"{words[0]} is not installed")
    opened = Terminal(shell, *words)
    opened.type(f"{setup}; echo rea''dy\n", "ready")
    yield opened
    opened.close()


def test_on_a_real_terminal(terminal: Terminal) -> None:
    terminal.type("inv recover.disk\t", "recover.disk-space ")
    terminal.type("--hosts 'web:!web1,d\t", "db")
    terminal.type("' --outp\t", "--output ")
    terminal.type("j\t", "json ")
    terminal.type("--inven\t", "--inventory ")


def test_fish(shell: Shell) -> None:
    if not shutil.which("fish"):
        pytest.skip("fish is not installed")
    ask = "crashcart --print-completion-script fish | source; for line in $argv; complete -C $line; end"
    lines = ["inv recover.disk", "crashcart check.disk --output ", "inv check.disk --hosts web:!web2"]
    done = shell.run("fish", "--no-config", "-c", ask, *lines)
    assert done.stderr == ""
    assert [line.split("\t")[0] for line in done.stdout.splitlines()] == [
        "recover.disk-space",
        "json",
        "text",
        "web:!web2",
    ]
