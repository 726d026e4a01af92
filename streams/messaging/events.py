"""What the project needs of the records that aiokafka and Faust hand over: neither library declares its types."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol


class Partition(Protocol):
    """One partition of one topic; hashable."""

    @property
    def topic(self) -> str:
        """Name of the topic."""
        ...

    @property
    def partition(self) -> int:
        """Number of the partition."""
        ...

    def __hash__(self) -> int: ...


class RecordPlace(Protocol):
    """Where a record is."""

    @property
    def topic(self) -> str:
        """Name of its topic."""
        ...

    @property
    def partition(self) -> int:
        """Number of its partition."""
        ...

    @property
    def offset(self) -> int:
        """Its number within the partition."""
        ...


class ConsumerRecord(RecordPlace, Protocol):
    """A record as a consumer of aiokafka yields it."""

    @property
    def timestamp(self) -> int:
        """When it was produced, ms UTC."""
        ...

    @property
    def key(self) -> bytes | None:
        """Its key."""
        ...

    @property
    def value(self) -> bytes:
        """Its value. That of a foreign tombstone is None, which no reader of ours accepts."""
        ...

    @property
    def headers(self) -> Iterable[tuple[str, bytes]]:
        """Its headers, in order."""
        ...


class EventMessage(RecordPlace, Protocol):
    """The record behind a Faust event."""

    @property
    def tp(self) -> Partition:
        """Topic and partition together."""
        ...

    @property
    def value(self) -> bytes:
        """Its value, not decoded. That of a foreign tombstone is None, which no reader of ours accepts."""
        ...

    @property
    def headers(self) -> Mapping[str, bytes] | Iterable[tuple[str, bytes]] | None:
        """Its headers: pairs where it comes from a consumer, a mapping where Faust has read them."""
        ...


class Event(Protocol):
    """An event of a Faust stream, acknowledged by hand."""

    @property
    def message(self) -> EventMessage:
        """The record it is about."""
        ...

    @property
    def value(self) -> bytes:
        """Its value, not decoded. That of a foreign tombstone is None, which no reader of ours accepts."""
        ...

    @property
    def headers(self) -> Mapping[str, bytes] | None:
        """Its headers."""
        ...

    def ack(self) -> bool:
        """Acknowledge the event."""
        ...
