"""The practice fleet: bring it up, look at it, put it back to its first state, take it down."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed

from crashcart.errors import BadInput, LabError
from crashcart.lab.aws.compute_seed import LabInstance
from crashcart.lab.aws.emulator import AwsEmulator
from crashcart.lab.containers import ADDRESS, Container, create_host, find_containers, free_ports, remove_containers
from crashcart.lab.engine import Engine, working_engines
from crashcart.lab.folder import Folder, open_folder
from crashcart.lab.image import ensure_image
from crashcart.lab.inventory import Account, inventory_text
from crashcart.lab.keys import ensure_keys, known_hosts_text
from crashcart.lab.packages import install, installable
from crashcart.lab.probes import answers_ssh, wait_until_booted
from crashcart.lab.recipe import Recipe, load_recipe
from crashcart.lab.status import HostStatus, LabStatus, look_at, notes_on

Progress = Callable[[str], None]
Ports = tuple[int, int]
"""Where a host is published on the loopback address: its sshd, and its practice service."""

MOST_HOSTS = 64
_AT_A_TIME = 8
_PATIENCE = 10.0


class Lab:
    """A practice fleet by name. Its hosts are found through container labels; its folder only holds keys and lists."""

    def __init__(self, folder: Folder, engines: Callable[[], list[Engine]] = working_engines) -> None:
        self.folder = folder
        self.aws = AwsEmulator(folder.aws)
        self._engines = engines

    @classmethod
    def open(cls, name: str | None = None) -> Lab:
        """Return the lab of a name: the one given, else the one that ``CRASHCART_LAB`` names, else ``lab``."""
        return cls(open_folder(name))

    def up(self, count: int = 3, progress: Progress = lambda _line: None) -> LabStatus:
        """Make sure that at least ``count`` hosts run: lab1, lab2, ...

        Hosts that answer are left exactly as they are, with the faults that are in them, and so are hosts beyond
        ``count``. What is half made, stopped, silent or of an older recipe is removed, and made anew within ``count``.
        """
        if not 1 <= count <= MOST_HOSTS:
            raise BadInput(f"a lab has 1 to {MOST_HOSTS} hosts, not {count}")
        with self.folder.locked(progress) as lock:
            engine, recipe = self._engine() or _install_engine(self._engine, progress), load_recipe()
            engine.demand_systemd()
            starts = self.aws.start()
            ensure_image(engine, recipe, self.folder, lock, progress)
            self._converge(engine, recipe, count, progress)
            self._complete_aws(engine, progress)
            if starts:
                progress(self.aws.status().text)
        return self._status(engine)

    def reset(self, progress: Progress = lambda _line: None) -> LabStatus:
        """Make every host of the lab anew, under the same names, ports and keys, and begin its AWS account anew."""
        with self.folder.locked(progress) as lock:
            engine, recipe = self._engine(), load_recipe()
            found = find_containers(engine, self.folder) if engine else []
            if not engine or not found:
                raise LabError(f"lab {self.folder.name!r} is down", hint="inv lab.up")
            ensure_image(engine, recipe, self.folder, lock, progress)
            self.aws.start()
            remove_containers(engine, found)
            self._make(engine, recipe, {one.host: (one.port, one.web_port) for one in found}, progress)
            if self.aws.ready().running:
                self.aws.reset()
            self._complete_aws(engine, progress)
        return self._status(engine)

    def down(self, progress: Progress = lambda _line: None) -> LabStatus:
        """Remove every host, with its disk, and stop AWS. Keys and the image stay, so that the next ``up`` is fast."""
        with self.folder.locked(progress):
            if self.aws.stop():
                progress("aws is stopped")
            for engine in self._engines():
                found = find_containers(engine, self.folder)
                remove_containers(engine, found)
                for one in found:
                    progress(f"{one.host} is removed")
            self._publish([])
        return self.status()

    def status(self) -> LabStatus:
        """Look at every host, in parallel. Changes nothing and installs nothing."""
        return self._status(self._engine())

    def _status(self, engine: Engine | None) -> LabStatus:
        hosts = _look_at_all(engine, self.folder) if engine else ()
        notes = tuple(notes_on(hosts)) if engine else (f"neither docker nor podman answers; {_HOW_TO_INSTALL}",)
        return LabStatus(
            name=self.folder.name,
            folder=str(self.folder.path),
            inventory=str(self.folder.inventory),
            engine=str(engine or ""),
            image=load_recipe().image,
            hosts=hosts,
            notes=notes,
            aws=self.aws.status(),
        )

    def _engine(self) -> Engine | None:
        """Return the engine that holds this lab, else the first that works: a second engine must not hide a lab."""
        engines = self._engines()
        holding = (engine for engine in engines if len(engines) > 1 and find_containers(engine, self.folder))
        return next(holding, engines[0] if engines else None)

    def _converge(self, engine: Engine, recipe: Recipe, count: int, progress: Progress) -> None:
        """Remove what may not stay, and make what is missing; a host made anew gets its old port."""
        found = find_containers(engine, self.folder)
        with ThreadPoolExecutor(_AT_A_TIME) as pool:
            faults = list(pool.map(lambda one: self._why_unfit(one, recipe), found))
        broken = {one: fault for one, fault in zip(found, faults, strict=True) if fault}
        for one, fault in broken.items():
            progress(f"{one.host} is removed: {fault}")
        remove_containers(engine, list(broken))
        present = {one.host for one in found if one not in broken}
        old = {one.host: (one.port, one.web_port) for one in broken}
        missing = [host for host in host_names(count) if host not in present]
        self._make(engine, recipe, {host: old.get(host, (0, 0)) for host in missing}, progress)

    def _why_unfit(self, one: Container, recipe: Recipe) -> str:
        """Say why a container may not stay, or nothing."""
        keys = (self.folder.client_key, self.folder.host_key(one.host))
        if not one.running:
            return "it is half made or was stopped"
        if one.recipe != recipe.digest:
            return "it is of another recipe"
        if not all(key.exists() for key in keys):
            return "its keys are lost"
        if not one.web_port:
            return "its service is not published"
        return "" if answers_ssh(one.port, within=_PATIENCE) else "its sshd does not answer"

    def _make(self, engine: Engine, recipe: Recipe, ports: dict[str, Ports], progress: Progress) -> None:
        """Make hosts in parallel, each on its ports (0 is any); publish what runs, even when one of them failed."""
        ensure_keys(engine, recipe.image, self.folder, list(ports))
        spare = iter(free_ports(2 * len(ports)))
        with ThreadPoolExecutor(_AT_A_TIME) as pool:
            jobs = {
                pool.submit(_boot, engine, self.folder, recipe, host, (ssh or next(spare), web or next(spare))): host
                for host, (ssh, web) in ports.items()
            }
            for job in as_completed(jobs):
                progress(f"{jobs[job]} failed" if job.exception() else f"{jobs[job]} is up")
        self._publish(find_containers(engine, self.folder))
        for job in jobs:
            job.result()

    def _complete_aws(self, engine: Engine, progress: Progress) -> None:
        """Make every host an instance of the emulator, and tell the inventory. Without it, hosts are of use all the same."""
        status = self.aws.ready()
        if not status.running:
            progress(f"aws is left out: {status.note}")
            return
        containers = [one for one in find_containers(engine, self.folder) if one.running]
        self.aws.add_hosts([_instance(one) for one in containers])
        self._publish(containers)

    def _publish(self, containers: Iterable[Container]) -> None:
        """Write down where the hosts are, for ssh and for the inventory."""
        ports = {one.host: one.port for one in containers if one.running}
        self.folder.write(self.folder.known_hosts, known_hosts_text(self.folder, ADDRESS, ports).encode())
        self.folder.write(self.folder.inventory, inventory_text(self.folder, ADDRESS, ports, self._account()).encode())

    def _account(self) -> Account | None:
        """What the inventory says of AWS, while it is there."""
        url = self.aws.status().url
        return Account(url, self.aws.add_hosts()) if url else None


_HOW_TO_INSTALL = "install podman or docker, or run as root on Debian or Ubuntu, where `inv lab.up` installs podman"


def host_names(count: int) -> list[str]:
    """Return the names of the first hosts of a lab."""
    return [f"lab{number}" for number in range(1, count + 1)]


def _instance(one: Container) -> LabInstance:
    """A host as an EC2 instance: the emulated load balancer asks its practice service, really."""
    return LabInstance(one.host, f"http://{ADDRESS}:{one.web_port}/health")


def _boot(engine: Engine, folder: Folder, recipe: Recipe, host: str, ports: Ports) -> None:
    container = create_host(engine, folder, recipe, host, ports)
    wait_until_booted(engine, container)
    if not answers_ssh(container.port, within=_PATIENCE):
        raise LabError(f"{host} has booted, but its sshd does not answer on {ADDRESS}:{container.port}")


def _look_at_all(engine: Engine, folder: Folder) -> tuple[HostStatus, ...]:
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        return tuple(pool.map(lambda one: look_at(engine, one), find_containers(engine, folder)))


def _install_engine(find: Callable[[], Engine | None], progress: Progress) -> Engine:
    """Install podman where that may be done, and return it. Raises ``LabError`` with what to install."""
    if installable():
        install(("podman", "runc", "iptables"), progress)
    engine = find()
    if engine is None:
        raise LabError("neither docker nor podman answers", hint=_HOW_TO_INSTALL)
    return engine
