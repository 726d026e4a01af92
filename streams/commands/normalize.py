"""`tapestream normalize`: show what a stored answer becomes. How a user reports a payload we get wrong."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, BinaryIO

import click
import orjson

from connectors import DATASETS, Answer, Request, connector
from connectors.errors import MalformedPayload
from infra.clock import SYSTEM
from streams.commands.console import fail, one_line_errors, say_json
from streams.processing import replay

REFUSED, MALFORMED = 3, 4  # exit codes; 1 is an error, and 2 wrong usage as click has it


@click.command()
@click.argument("provider", required=False)
@click.argument("dataset", required=False)
@click.argument("file", type=click.File("rb"), required=False)
@click.option("--symbol", "symbols", multiple=True, help="Canonical symbol that had been asked; repeat for a batch.")
@click.option("--asset-class", default="equity", show_default=True)
@click.option("--interval", help="1m 5m 15m 30m 1h 4h 1d 1w 1mo; bars only.")
@click.option("--adjustment", help="raw, split or total, if it had been asked for.")
@click.option("--status", default=200, show_default=True, help="HTTP status of the answer.")
@click.option("--header", "headers", multiple=True, metavar="NAME=VALUE", help="A header of the answer.")
@click.option("--param", "params", multiple=True, metavar="NAME=VALUE", help="A parameter of the request.")
@click.option("--url", help="The request's URL, when another endpoint than the usual one had been asked.")
@click.option("--case", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="A whole recording (JSON).")
@click.option("--call", "asked", help="What had been asked, as JSON in canonical words (with --case).")
@one_line_errors
def normalize(case: Path | None, asked: str | None, file: BinaryIO | None, **given: Any) -> None:
    """Run one stored answer through its connector and print the unified records as JSON lines.

    \b
    tapestream normalize polygon bars --symbol AAPL --interval 1d answer.json
    curl ... | tapestream normalize yahoo quote --symbol AAPL -
    tapestream normalize --case recording.json --call '{"provider":"yahoo","dataset":"quote","symbol":"AAPL"}'

    Rejected rows have "dataset": "dead_letters"; where every row is out of scope, "left_out" counts them. A refusal
    exits 3, a malformed payload 4; its "hint" names the endpoints that read it, or says that none fits.
    """
    if case is not None:
        recording, call = _json(case.read_bytes(), str(case)), _json((asked or "{}").encode(), "--call")
        if "provider" not in recording and "provider" not in call:
            fail(f"{case} names no provider: add it to the file or to --call", 2)
        found = replay.Case.from_recording(recording, call)
    elif file is None:
        fail("give PROVIDER DATASET FILE, or --case FILE; `tapestream normalize --help` shows both", 2)
    else:
        found = _case(file.read(), **given)
    result = replay.run(found)
    if isinstance(result.refusal, MalformedPayload) or (not found.request.endpoint and result.refusal is None):
        sys.exit(_print_unread(found, result))
    sys.exit(_print(result))


def _print_unread(case: replay.Case, result: replay.Result) -> int:
    """Say why nothing was read, be it the answer or a URL of no endpoint, and which endpoints do read it."""
    named = f"the request is at no endpoint of {case.provider}: {case.request.path or 'it has no url'}"
    fitting = replay.readers_of(case)
    fit = f"it reads as an answer of {', '.join(fitting)}: give that --url" if fitting else ""
    line = {
        "error": MalformedPayload.__name__,
        "reason": result.refusal.reason if result.refusal else named,
        "hint": fit or f"no endpoint of {case.provider} fits this answer",
    }
    say_json(line)
    return MALFORMED


def _case(body: bytes, *, provider: str, dataset: str, symbols: tuple[str, ...], **given: Any) -> replay.Case:
    declared = connector(provider)
    if dataset not in DATASETS:
        fail(f"unknown dataset {dataset!r}; known: {', '.join(DATASETS)}", 2)
    call = replay.call_from(
        {
            "dataset": dataset,
            "symbols": symbols,
            **{name: given[name] for name in ("asset_class", "interval", "adjustment")},
        }
    )
    params = dict(_pair(text, "--param") for text in given["params"])
    if given["url"]:
        request = declared.find("GET", given["url"], params) or declared.find("POST", given["url"], params)
        if request is None:
            fail(f"{given['url']} is no endpoint of {provider} that we know", 2)
    else:
        planned = declared.request(call)
        request = Request(
            endpoint=planned.endpoint, path=planned.path, params={**planned.params, **params}, method=planned.method
        )
    headers = {name.lower(): value for name, value in (_pair(text, "--header") for text in given["headers"])}
    answer = Answer(status=given["status"], headers=headers, body=body, observed_at=SYSTEM.now_ms())
    return replay.Case(provider=provider, call=call, request=request, answer=answer)


def _print(result: replay.Result) -> int:
    if result.refusal is not None:
        line: dict[str, Any] = {"error": result.outcome, "reason": result.refusal.reason}
        line |= {
            name: value
            for name in ("retry_after", "resets_at")
            if (value := getattr(result.refusal, name, None)) is not None
        }
        say_json(line)
        return REFUSED
    records = result.records()
    for record in records:
        say_json(record)
    for symbol, refusal in result.missing.items():
        say_json({"symbol": symbol, "error": refusal.name})
    if result.next is not None:
        say_json({"next": {"path": result.next.path, "params": dict(result.next.params)}})
    if result.left_out and not (records or result.missing):
        say_json({"left_out": result.left_out, "reason": "every row is outside the asset classes, or a test ticker"})
    return 0


def _pair(text: str, option: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign or not name:
        fail(f"{option} {text!r} is not NAME=VALUE", 2)
    return name.strip(), value


def _json(text: bytes, where: str) -> dict[str, Any]:
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        fail(f"{where} is not JSON: {error}", 2)
    if not isinstance(found, dict):
        fail(f"{where} holds a {type(found).__name__}, not an object", 2)
    return found
