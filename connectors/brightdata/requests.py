"""What Bright Data is asked: symbols both ways, pages, jobs and their polls, refusals in headers, envelopes and states.

Bloomberg spells AAPL:US, BRK/B:US, VOD:LN, SPX:IND, EURUSD:CUR, XBTUSD:CUR, CL1:COM. Rows scraped from Yahoo Finance
carry Yahoo's spelling, without a colon: AAPL, BRK-B, VOD.L.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from connectors import errors
from connectors.brightdata.market import SCRIPT, envelope, page_of
from connectors.calls import Call, Request
from connectors.fields import number, shown
from connectors.headers import retry_after
from connectors.reading import Reading
from connectors.records import AssetClass
from connectors.symbols import FOREX, is_us, listing, split_listing, suffixed, unsuffixed, us_share
from connectors.venues import venue_by

SHARES: tuple[AssetClass, ...] = ("equity", "etf", "fund")
INDICES = MappingProxyType(
    {
        "SPX": "GSPC",
        "INDU": "DJI",
        "CCMP": "IXIC",
        "RTY": "RUT",
        "UKX": "FTSE",
        "DAX": "GDAXI",
        "CAC": "FCHI",
        "SX5E": "STOXX50E",
        "NKY": "N225",
    }
)
FUTURES = MappingProxyType({root: root for root in ("CL", "GC", "HG", "HO", "NG", "PA", "PL", "SI")} | {"CO": "BZ"})
NORTH = frozenset({"DC", "SS", "FH", "NO", "IR"})
COINS = MappingProxyType({"XBT": "BTC", "XET": "ETH"})
ZONE = "web_unlocker1"  # what Bright Data calls an account's first zone; a key `zone:token` names another
ARTICLES = 50  # most results of one keyword: each is paid
BACKGROUND = "unlocker_background"
WAIT_S = 15.0  # 25 answers of 429 within five minutes block the address
STATUSES: Mapping[int, type[errors.Refusal]] = MappingProxyType(
    {407: errors.KeyRejected, 404: errors.UnknownSymbol, 429: errors.RateLimited}
)
"""What the unlocked status says by itself, whatever code stands beside it."""
CODES: Mapping[str, type[errors.Refusal]] = MappingProxyType(
    {
        "rate_limit|throttl|policy_2022": errors.RateLimited,
        "client_10100": errors.QuotaExhausted,  # the zone's own limit of use
        "robots|policy|premium|feature_not_active|custom_headers": errors.NotEntitled,
        "credential|password|customer_name|auth|client_100[0-2]": errors.KeyRejected,
        "zone_not_found|bad_port": errors.InvalidRequest,
    }
)
SAID: Mapping[str, type[errors.Refusal]] = MappingProxyType(
    {
        "account is (suspended|new)": errors.KeyRejected,
        "(snapshot|dataset) does not exist": errors.InvalidRequest,
        "are you a robot|unusual activity from your computer": errors.ProviderUnavailable,
    }
)


# -- symbols ---------------------------------------------------------------------------------------------------------


def spell(symbol: str, asset_class: AssetClass) -> str:
    """`BRK.B` -> `BRK/B:US`, `VOD.XLON` -> `VOD:LN`, `^GSPC` -> `SPX:IND`. Raises `UnsupportedSymbol`."""
    found = None
    if asset_class in SHARES:
        found = _spell_share(symbol)
    elif asset_class == "index" and re.fullmatch(r"\^[A-Z0-9]{1,10}", symbol) and symbol[1:] not in INDICES:
        found = f"{_named(INDICES, symbol[1:]) or symbol[1:]}:IND"
    elif asset_class == "forex" and FOREX.fullmatch(symbol) and symbol[:3] not in COINS:
        found = f"{symbol.replace('/', '')}:CUR"
    elif asset_class == "crypto" and symbol.endswith("-USD") and (coin := _named(COINS, symbol[:-4])):
        found = f"{coin}USD:CUR"
    elif asset_class == "commodity" and (root := _named(FUTURES, symbol)):
        found = f"{root}1:COM"
    if found is None:
        raise errors.UnsupportedSymbol(
            f"brightdata cannot spell the {asset_class} {symbol!r}",
            f"it knows shares, their classes, "
            f"indices, currency pairs, {' '.join(COINS.values())} in USD, futures {' '.join(FUTURES.values())}",
        )
    return found


def _spell_share(symbol: str) -> str | None:
    """Tickers of London have three letters at least, shorter ones end in a dot, which is a slash here: `BP/:LN`.

    In the north a class runs together with the ticker (`NOVOB:DC`) and cannot be separated again.
    """
    if listed := split_listing(symbol):
        ticker, venue = listed
        known = venue_by("bloomberg", venue.bloomberg) == venue  # two venues of one country may share a code
        if not known or ("." in ticker and venue.bloomberg in NORTH):
            return None
        if venue.mic == "XHKG":
            ticker = ticker.lstrip("0")
        elif venue.mic == "XLON" and len(ticker) < 3:
            ticker += "."
        return f"{ticker.replace('.', '/')}:{venue.bloomberg}"
    return f"{symbol.replace('.', '/')}:US" if is_us(symbol) and re.fullmatch(r"[A-Z0-9]+(\.[A-Z])?", symbol) else None


def _named(table: Mapping[str, str], name: str) -> str | None:
    return next((code for code, known in table.items() if known == name), None)


def canonical(spelling: str, asset_class: AssetClass) -> tuple[str, AssetClass]:
    """`BRK/B:US` -> `BRK.B`, `OMX:IND` -> (`^OMX`, index), `CL1:COM` -> (`CL`, commodity). Raises `FieldError`."""
    name, colon, market = spelling.partition(":")
    shares: AssetClass = asset_class if asset_class in SHARES else "equity"
    if not colon and (symbol := unsuffixed(name)):
        return symbol, shares
    if found := _canonical_at(name, market, shares):
        return found
    raise errors.FieldError("symbol", f"{shown(spelling)} is no symbol of a known form")


def _canonical_at(name: str, market: str, shares: AssetClass) -> tuple[str, AssetClass] | None:
    if market == "IND":
        return (f"^{INDICES.get(name, name)}", "index") if re.fullmatch("[A-Z0-9]{1,15}", name) else None
    if market == "CUR" and re.fullmatch("[A-Z]{6}", name):
        coin = COINS.get(name[:3])
        return (f"{coin}-{name[3:]}", "crypto") if coin else (f"{name[:3]}/{name[3:]}", "forex")
    if market == "COM":
        return (FUTURES[name[:-1]], "commodity") if name.endswith("1") and name[:-1] in FUTURES else None
    venue = venue_by("bloomberg", market)
    ticker = name.replace("/", ".")
    symbol = us_share(ticker) if market == "US" else listing(ticker, venue) if venue else None
    return (symbol, shares) if symbol else None


def _at_yahoo(symbol: str) -> str:
    """`BRK.B` -> `BRK-B`, `VOD.XLON` -> `VOD.L`."""
    if (spelled := suffixed(symbol)) is None:
        raise errors.UnsupportedSymbol(f"brightdata cannot spell {symbol!r} as Yahoo does")
    return spelled


# -- requests --------------------------------------------------------------------------------------------------------


def nothing(_: Call, __: tuple[str, ...]) -> Mapping[str, str]:
    """Send no parameters: the body says all."""
    return {}


def polled(_: Call, __: tuple[str, ...]) -> Mapping[str, str]:
    """Refuse: no call can name a job that is not yet triggered."""
    raise errors.UnsupportedCall("brightdata's results are polled by their id: ask the job instead")


def page(_: Call, spelled: tuple[str, ...]) -> Mapping[str, Any]:
    """Post the address of a Bloomberg quote page, for the Web Unlocker to fetch into a JSON envelope."""
    return {"zone": ZONE, "url": f"https://www.bloomberg.com/quote/{spelled[0]}", "format": "json"}


def job(call: Call, _: tuple[str, ...]) -> Mapping[str, str]:
    """Rows of what failed are asked for too; a search is limited, since each of its results is paid."""
    limit = {} if call.symbols else {"limit_multiple_results": str(min(call.limit or ARTICLES, ARTICLES))}
    return {"format": "json", "include_errors": "true", **limit}


def companies(call: Call, _: tuple[str, ...]) -> list[Any]:
    """Post the addresses of Yahoo Finance pages, one for each symbol."""
    return [{"url": f"https://finance.yahoo.com/quote/{_at_yahoo(symbol)}"} for symbol in call.symbols]


def keyword(call: Call, _: tuple[str, ...]) -> list[Any]:
    """Post the query as a keyword of Google News. Raises `UnsupportedCall` without one."""
    if not call.query:
        raise errors.UnsupportedCall("brightdata searches news by a keyword: give a query")
    return [{"url": "https://news.google.com/", "keyword": call.query, "country": "US", "language": "en"}]


def _poll(snapshot: Any) -> Request:
    if not isinstance(snapshot, str) or not re.fullmatch(r"[\w-]+", snapshot):
        raise errors.MalformedPayload(f"snapshot_id was {shown(snapshot)}")
    return Request(endpoint="snapshot", path=f"/datasets/v3/snapshot/{snapshot}", params={"format": "json"})


# -- refusals --------------------------------------------------------------------------------------------------------


def refusal(reading: Reading) -> errors.Refusal | None:
    """Find the refusal in headers, envelope, text or a job's state; an unlocking that failed may pass the next time."""
    answer = reading.answer
    if answer.status == 429:
        return errors.RateLimited(f"HTTP 429: {reading.text[:200]}", retry_after=retry_after(answer) or WAIT_S)
    if answer.status not in {200, 202}:
        return _said(reading.text) or (_unlocking(reading) if _code(_headers(reading)) else None)
    return _unlocking(reading) or _said(page_of(reading)) or _job_state(reading)


def _headers(reading: Reading) -> dict[str, str]:
    """Headers of the answer and, under them, of the page in its envelope; names in lower case."""
    given = envelope(reading).get("headers")
    inner = given if isinstance(given, dict) else {}
    return {name.lower(): str(value) for name, value in [*inner.items(), *reading.answer.headers.items()]}


def _code(headers: Mapping[str, str]) -> str:
    """The error's code, which RFC 9209 writes into `Proxy-Status`: `details="client-10060: ..."`."""
    own = headers.get("x-brd-error-code") or headers.get("x-brd-err-code")
    standard = re.search(r'details="([a-z]+)[-_](\d+)', headers.get("proxy-status", ""))
    return own or (f"{standard[1]}_{standard[2]}" if standard else "")


def signed(reading: Reading) -> bool:
    """Bright Data's own headers, envelope or waiting, or a page with the data that was asked for."""
    headers = _headers(reading)
    signed_by = bool(_code(headers)) or bool(headers.keys() & {"x-brd-error", "x-brd-err-msg", "x-brd-status-code"})
    return signed_by or bool(envelope(reading)) or _waiting(reading) or SCRIPT.search(reading.text) is not None


def _unlocking(reading: Reading) -> errors.Refusal | None:
    """The status of the unlocking decides, then the code beside it.

    https://docs.brightdata.com/proxy-networks/errorCatalog
    """
    inner, headers = envelope(reading), _headers(reading)
    code = _code(headers)
    said = f"{code} {headers.get('x-brd-error') or headers.get('x-brd-err-msg') or ''}".strip()
    status = int(number(headers.get("x-brd-status-code") or inner.get("status_code")) or 200)
    if status in STATUSES:
        return _refused(STATUSES[status], said or f"the page answered {status}")
    if said:
        cls = next((cls for words, cls in CODES.items() if re.search(words, code)), errors.ProviderUnavailable)
        return _refused(cls, said)
    if not 200 <= status < 300:
        return errors.ProviderUnavailable(f"the page answered {status}")
    empty = not (inner["body"] if inner else reading.answer.body.strip())
    return errors.ProviderUnavailable("an empty answer") if empty and not _waiting(reading) else None


def charged(reading: Reading) -> bool:
    """Only results are billed: a refusal is none, nor an unlocking that failed; a page that is missing is one.

    A job's results are charged when it is triggered, as many as it may bring.
    """
    headers, outer = _headers(reading), reading.answer.status
    text = str(headers.get("x-brd-status-code") or envelope(reading).get("status_code") or outer)
    status = int(text) if text.isdecimal() else outer
    failed = bool(_code(headers)) or bool(headers.get("x-brd-error"))
    return 200 <= outer < 300 and (200 <= status < 300 or status == 404) and not failed


def _refused(cls: type[errors.Refusal], said: str) -> errors.Refusal:
    return errors.RateLimited(said, retry_after=WAIT_S) if cls is errors.RateLimited else cls(said)


def _waiting(reading: Reading) -> bool:
    return reading.answer.status == 202 or reading.request.endpoint == BACKGROUND


def _said(words: str) -> errors.Refusal | None:
    """A page with its data, or JSON, may hold such words in a headline: only other texts are looked into."""
    if SCRIPT.search(words) or words.lstrip()[:1] in {"{", "["}:
        return None
    for pattern, cls in SAID.items():
        if found := re.search(pattern, words, re.IGNORECASE):
            return cls(found[0])
    return None


def _job_state(reading: Reading) -> errors.Refusal | None:
    """A job hands out its id, then its state, or 202 for not yet; so does an unlocking in the background."""
    body, state = reading.object, reading.object.get("status")
    response = reading.answer.headers.get("x-response-id") or reading.params.get("response_id")
    if response and _waiting(reading):
        params = {"response_id": response, "zone": ZONE}
        poll = Request(endpoint="unlocker_result", path="/unblocker/get_result", params=params)
        return errors.Pending("unlocking in the background", poll=poll)
    if state == "failed":
        return errors.ProviderUnavailable(f"the job failed: {body.get('error_message')!s:.200}")
    if _waiting(reading) or "snapshot_id" in body or state in {"starting", "running", "building"}:
        snapshot = body.get("snapshot_id") or reading.params.get("snapshot_id")
        return errors.Pending(str(state or "triggered"), poll=_poll(snapshot))
    return None
