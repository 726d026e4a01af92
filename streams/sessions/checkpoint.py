"""A session's checkpoint on disk: one file, replaced whole, and the one before it. Knows no clock and no pipeline.

One JSON document on one line, ended by a line feed; its header stands before its payload, the session as JSON:

    {"format":"tapestream.checkpoint","version":1,"session":ID,"sequence":N,"created":MS,"sha256":HEX,"payload":{...}}

`sequence` is the session's number of checkpoints, `created` the time (ms UTC) of its last event, `sha256` is over the
exact bytes of the payload. Only ids, names, counts and times can stand in a session: no key, and no URL.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

import orjson
from pydantic import TypeAdapter, ValidationError

from streams.errors import CheckpointRefused
from streams.sessions.state import Session

CURRENT = "checkpoint.json"
PREVIOUS = "checkpoint.previous.json"
NEW = "checkpoint.new.json"
"""What is being written: never read, as only its new name says that it is whole."""

FORMAT = "tapestream.checkpoint"
VERSION = 1  # of the form of a checkpoint file; another one is refused
_BEGINNING = re.compile(rb'\{"format":"tapestream\.checkpoint","version":(\d{1,9}),')
_PAYLOAD = b',"payload":'
_END = b"}\n"
_SESSION = TypeAdapter(Session)


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a folder's checkpoints say. `refused` is the fault of the current one; "" when it was used."""

    session: Session
    """The session of the checkpoint."""
    from_previous: bool = False
    """True where the previous checkpoint was used."""
    refused: str = ""
    """Reason why the current checkpoint was refused; empty when it was used."""


def write(folder: Path, session: Session) -> None:
    """Make `session` the folder's checkpoint and keep the one before. The folder belongs to this session alone.

    Take in `Checkpointed` first. Killed at any moment, it leaves the old or the new state readable. Raises
    `CheckpointRefused` when the folder holds another session's or a later checkpoint, and OSError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    current, new = folder / CURRENT, folder / NEW
    worth_keeping = _may_follow(current, session)
    with new.open("wb") as file:
        file.write(_encoded(session))
        file.flush()
        os.fsync(file.fileno())
    if worth_keeping:  # else the previous one may be the only good one
        current.replace(folder / PREVIOUS)
    new.replace(current)
    _sync(folder)


def read(folder: Path, session_id: str = "") -> Loaded:
    """Return the folder's checkpoint: the current one or, when that is refused, the previous one.

    With `session_id` any other session's is refused. Raises `CheckpointRefused` when neither can be used.
    """
    try:
        return Loaded(_of(folder / CURRENT, session_id))
    except CheckpointRefused as error:
        refused = str(error)
    try:
        return Loaded(_of(folder / PREVIOUS, session_id), from_previous=True, refused=refused)
    except CheckpointRefused as error:
        raise CheckpointRefused(f"no usable checkpoint: {refused}; {error}") from None


def read_file(path: Path) -> Session:
    """Return the session that a checkpoint file holds. Raises `CheckpointRefused`."""
    try:
        document = path.read_bytes()
    except FileNotFoundError:
        raise CheckpointRefused(f"{path} is missing") from None
    except OSError as error:
        raise CheckpointRefused(f"{path} cannot be read: {error.strerror}") from error
    header, payload = _parts(path, document)
    try:
        session = _SESSION.validate_json(payload, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"])) or "payload"
        raise CheckpointRefused(f"{path} holds no session: {place}: {first['msg']}") from None
    if header != _header(session, payload):
        raise CheckpointRefused(f"{path} was tampered with: its header and its payload do not belong together")
    return session


def _of(path: Path, session_id: str) -> Session:
    session = read_file(path)
    if session_id not in {"", session.spec.id}:
        raise CheckpointRefused(f"{path} is of session {session.spec.id}, not of {session_id}")
    return session


def _may_follow(current: Path, session: Session) -> bool:
    """Return whether the current checkpoint can be used, and so be kept. Raises for one that must stay."""
    try:
        found = read_file(current)
    except CheckpointRefused:
        return False
    if found.spec.id != session.spec.id:
        raise CheckpointRefused(f"{current} is of session {found.spec.id}: give {session.spec.id} its own folder")
    if found.checkpoints > session.checkpoints:
        raise CheckpointRefused(f"{current} is number {found.checkpoints}, later than {session.checkpoints}")
    return True


def _parts(path: Path, document: bytes) -> tuple[bytes, bytes]:
    """Split a document into its header, up to the payload, and the payload, whose sum is right."""
    if not document:
        raise CheckpointRefused(f"{path} is empty")
    beginning = _BEGINNING.match(document)
    if not beginning:
        raise CheckpointRefused(f"{path} is no {FORMAT}, or its beginning is damaged")
    version = int(beginning[1])
    if version != VERSION:
        age = "a newer program" if version > VERSION else "no known program"
        raise CheckpointRefused(f"{path} is of version {version}, written by {age}: this one reads version {VERSION}")
    header, marker, rest = document.partition(_PAYLOAD)
    if not marker or not rest.endswith(_END):
        raise CheckpointRefused(f"{path} is cut off or damaged: {len(document)} bytes without the end")
    payload = rest.removesuffix(_END)
    if _sum(payload) not in header:
        raise CheckpointRefused(f"{path} is damaged or was tampered with: its SHA-256 is another")
    return header, payload


def _encoded(session: Session) -> bytes:
    payload = orjson.dumps(session, default=sorted, option=orjson.OPT_NON_STR_KEYS)
    return b"".join((_header(session, payload), _PAYLOAD, payload, _END))


def _header(session: Session, payload: bytes) -> bytes:
    """The document up to its payload."""
    fields = {
        "format": FORMAT,
        "version": VERSION,
        "session": session.spec.id,
        "sequence": session.checkpoints,
        "created": session.at,
        "sha256": _sum(payload).decode(),
    }
    return orjson.dumps(fields).removesuffix(b"}")


def _sum(payload: bytes) -> bytes:
    return hashlib.sha256(payload).hexdigest().encode()


def _sync(folder: Path) -> None:
    """Put the folder's names on disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
