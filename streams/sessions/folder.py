"""A session's folder, `DATA_DIR/sessions/<id>/`: what it is, who runs it, orders to that process, its figures.

session.json  checkpoint.json  checkpoint.previous.json  summary.json  session.log  orders/  owner.lock

Who holds the lock runs the session; the kernel releases it with the process, whatever ends it.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from streams.errors import NoSuchSession, SessionBusy
from streams.sessions import checkpoint
from streams.sessions.spec import SessionAsset, Spec
from streams.sessions.state import RUNNING, Checkpointed, Session, advance
from streams.sessions.summary import summary

CARD, SUMMARY, LOG, LOCK, ORDERS = "session.json", "summary.json", "session.log", "owner.lock", "orders"
LAST = "last"
PROBES, PROBE_S = 3, 0.01  # somebody who only looks whether it is owned has the lock for a moment
What = Literal["stop", "pause", "resume", "add", "remove"]


class SessionCommand(BaseModel):
    """A command to a running session from another process; `add` and `remove` name a symbol."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    what: What
    """The command."""
    symbol: str = ""
    """Canonical symbol of `add` and `remove`."""
    asset_class: str = "equity"
    """SessionAsset class of the symbol."""


@dataclass(frozen=True, slots=True)
class SessionManifest:
    """What a session is, and who ran it last. `rate` and `anchor` are its clock's, `changes` those of symbols."""

    spec: Spec
    """The task."""
    pid: int = 0
    """Process that ran it last; 0 for none."""
    sandbox: bool = False
    """True where the sandbox answers."""
    rate: float = 1
    """Factor by which its clock runs faster than time."""
    anchor: int = 0
    """Moment from which its clock runs, ms UTC."""
    changes: tuple[SessionCommand, ...] = ()
    """Symbols added and removed, in order."""

    @property
    def assets(self) -> tuple[SessionAsset, ...]:
        """The symbols as they are after all changes."""
        found = dict.fromkeys(self.spec.symbols)
        for change in self.changes:
            asset = SessionAsset(change.symbol, change.asset_class)
            if change.what == "add":
                found[asset] = None
            else:
                found.pop(asset, None)
        return tuple(found)


_CARD = TypeAdapter(SessionManifest)


@dataclass(frozen=True, slots=True)
class Folder:
    """The folder of one session."""

    path: Path
    """The folder on disk."""

    @classmethod
    def create(cls, data_dir: Path, manifest: SessionManifest) -> Folder:
        """Make the folder of a session that is planned."""
        found = cls(sessions(data_dir) / manifest.spec.id)
        found.path.mkdir(parents=True)
        found.write_card(manifest)
        checkpoint.write(found.path, advance(Session(manifest.spec), Checkpointed(), 0))
        return found

    @classmethod
    def find(cls, data_dir: Path, name: str) -> Folder:
        """Return the folder of a session by its id, or of the `last` one. Raises `NoSuchSession`."""
        known = every(data_dir)
        if name == LAST and known:
            return known[-1]
        for folder in known:
            if folder.path.name == name:
                return folder
        raise NoSuchSession(f"there is no session {name} in {sessions(data_dir)}; `tapestream session list` shows them")

    @property
    def id(self) -> str:
        """The session's id."""
        return self.path.name

    @property
    def log(self) -> Path:
        """Its log."""
        return self.path / LOG

    def manifest(self) -> SessionManifest:
        """What it is. Raises `NoSuchSession`."""
        try:
            return _CARD.validate_json((self.path / CARD).read_bytes())
        except OSError as error:
            raise NoSuchSession(f"{self.path / CARD} cannot be read: {error.strerror}") from None
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(map(str, first["loc"]))
            raise NoSuchSession(f"{self.path / CARD} cannot be used: {place}: {first['msg']}") from None

    def write_card(self, manifest: SessionManifest) -> None:
        """Replace what it is."""
        _replace(self.path / CARD, _CARD.dump_json(manifest, indent=2))

    def change(self, order: SessionCommand) -> SessionManifest:
        """Note a symbol that was added or removed."""
        manifest = self.manifest()
        changed = replace(manifest, changes=(*manifest.changes, order))
        self.write_card(changed)
        return changed

    def session(self) -> Session:
        """The session by its checkpoint. Raises `CheckpointRefused`."""
        return checkpoint.read(self.path, self.id).session

    def state(self, session: Session) -> str:
        """Its state; one that seems to run while no process has it is `interrupted`."""
        dead = session.state in RUNNING and not self.owned()
        return "interrupted" if dead else session.state

    def write_summary(self, session: Session, now: int) -> dict[str, Any]:
        """Write its figures as of now, and return them."""
        found = summary(session, now)
        _replace(self.path / SUMMARY, orjson.dumps(found, option=orjson.OPT_INDENT_2))
        return found

    @contextmanager
    def owning(self) -> Iterator[None]:
        """Have the session to ourselves. Raises `SessionBusy`."""
        lock = os.open(self.path / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if not any(_locked(lock) for _ in range(PROBES)):
                raise SessionBusy(f"session {self.id} is running in process {self.manifest().pid}")
            yield
        finally:
            os.close(lock)

    def owned(self) -> bool:
        """Return whether a process runs it."""
        try:
            with self.owning():
                return False
        except SessionBusy:
            return True

    def order(self, order: SessionCommand) -> None:
        """Leave an order for the process that runs it."""
        folder = self.path / ORDERS
        folder.mkdir(exist_ok=True)
        _replace(folder / f"{time.time_ns():020d}.json", order.model_dump_json().encode())

    def orders(self) -> list[SessionCommand]:
        """Take the orders that wait, in their sequence; what is none is dropped."""
        found = []
        for path in sorted((self.path / ORDERS).glob("*.json")):
            with suppress(ValidationError):
                found.append(SessionCommand.model_validate_json(path.read_bytes()))
            path.unlink(missing_ok=True)
        return found


def sessions(data_dir: Path) -> Path:
    """Where the folders of all sessions are."""
    return data_dir / "sessions"


def every(data_dir: Path) -> list[Folder]:
    """The folders of all sessions, the oldest first: ids begin with the time of their making."""
    return [Folder(path.parent) for path in sorted(sessions(data_dir).glob(f"*/{CARD}"))]


def adopt(data_dir: Path, path: Path) -> Folder:
    """Return the folder of a session whose checkpoint file is `path`, made anew where it has none here.

    Raises `CheckpointRefused`, also where the folder holds a later checkpoint of it.
    """
    session = checkpoint.read_file(path)
    folder = Folder(sessions(data_dir) / session.spec.id)
    if not (folder.path / CARD).exists():
        folder.path.mkdir(parents=True, exist_ok=True)
        folder.write_card(SessionManifest(session.spec))
    if path.resolve().parent != folder.path.resolve():
        with folder.owning():
            checkpoint.write(folder.path, advance(session, Checkpointed(), session.at))
    return folder


def _locked(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        time.sleep(PROBE_S)
        return False
    return True


def _replace(path: Path, document: bytes) -> None:
    new = path.with_suffix(".new")
    new.write_bytes(document + b"\n")
    new.replace(path)
