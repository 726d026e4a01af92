"""What a program gets for each symbol it asked for: the answer, or one line that says why there is none."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from connectors import Quote
from streams.client.dataframes import TIMES, Library, frame_of
from streams.messaging.bars import Bar
from streams.messaging.outcomes import PollOutcome

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Tried(NamedTuple):
    """A provider that was asked and did not serve it: how that ended, and what was said of it."""

    provider: str
    outcome: PollOutcome
    reason: str


@dataclass(frozen=True, slots=True)
class FetchResult:
    """The bars of one symbol, oldest first, or in `error` why there are none.

    `source` is who answered; where several providers served a part of the range each, all of them, joined by commas.
    `begins_late` is the time of the first bar (UTC), where that is later than asked by more than exchanges ever close:
    the instrument was listed then, or no provider that was asked reaches further back.
    """

    symbol: str
    source: str | None = None
    candles: tuple[Bar, ...] = ()
    tried: tuple[Tried, ...] = ()
    error: str | None = None
    begins_late: datetime | None = None

    @property
    def success(self) -> bool:
        """True when the whole range was served, from where the history of the providers begins."""
        return self.error is None

    def frame(self, library: Library = "pandas") -> Any:
        """Return the bars as a frame of pandas, Polars or Arrow, times in UTC.

        Raises `ImportError` that says what to install.
        """
        return frame_of(self.candles, library)

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON can say it; times are ISO 8601, UTC."""
        return {
            "symbol": self.symbol,
            "success": self.success,
            "source": self.source,
            "candles": [_as_json(asdict(bar)) for bar in self.candles],
            "tried": [tried._asdict() for tried in self.tried],
            "error": self.error,
            "begins_late": self.begins_late and self.begins_late.isoformat(),
        }


@dataclass(frozen=True, slots=True)
class QuoteResult:
    """The latest quote of one symbol, or in `error` why there is none; `cached` when a young one answered uncalled."""

    symbol: str
    source: str | None = None
    quote: Quote | None = None
    cached: bool = False
    tried: tuple[Tried, ...] = ()
    error: str | None = None

    @property
    def success(self) -> bool:
        """True when there is a quote."""
        return self.error is None

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON can say it; times are ISO 8601, UTC."""
        return {
            "symbol": self.symbol,
            "success": self.success,
            "source": self.source,
            "quote": self.quote and _as_json(self.quote.model_dump()),
            "cached": self.cached,
            "tried": [tried._asdict() for tried in self.tried],
            "error": self.error,
        }


def moment(ms: int) -> datetime:
    """A time of the wire, ms UTC."""
    return EPOCH + timedelta(milliseconds=ms)


def _as_json(record: dict[str, Any]) -> dict[str, Any]:
    times = {name: moment(record[name]).isoformat() for name in TIMES}
    return {**record, **times}
