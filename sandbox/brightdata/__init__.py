"""Bright Data: a Web Unlocker and scraper jobs, Bloomberg through the first. Documentation: https://docs.brightdata.com.

Oddities played on purpose: the target's own status goes through (`format: raw`) or stands in an envelope inside a
200 (`json`); a robot's page with a 200; headers report what Bright Data itself could not do; errors in plain
text; a job hands out an id, then 202 until its records are ready, each with its input and perhaps an error.
What a job or a background request was asked stands in its id, so that the sandbox has nothing to remember.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote, urlsplit

import orjson

from sandbox.brightdata import pages
from sandbox.brightdata.records import SCRAPERS
from sandbox.server.limits import Plan
from sandbox.server.provider import Call, Provider, Reason, Refusal, Reply, Route

TEXT = "text/plain; charset=utf-8"
JOB_TAKES = timedelta(seconds=6)
FORMATS = ("raw", "json")
NOT_READY = "Snapshot is not ready yet, try again in 10s"
BUSY = (
    "You have too many running jobs for this dataset. Please wait until some of them finish or consider combining "
    "multiple inputs into a single request. Running jobs: 100>=100"
)
UNREACHABLE = {"x-brd-error": "Target host is unreachable", "x-brd-error-code": "target_40001"}


class BadRequest(ValueError):
    """A payload that Bright Data refuses with 400."""


@dataclass(frozen=True, slots=True)
class Job:
    """A scraper job or a background request."""

    what: str
    """Name of the dataset that is scraped, or `unlocker` for a page."""
    asked: Any
    """The inputs of the scraper, or the address of the page."""
    at: int
    """When it was asked, ms UTC."""

    @property
    def ready(self) -> datetime:
        """When its result is there."""
        return datetime.fromtimestamp(self.at / 1000, UTC) + JOB_TAKES

    def ident(self, prefix: str) -> str:
        """The id that carries it."""
        packed = zlib.compress(orjson.dumps([self.what, self.asked, self.at]), 9)
        return prefix + base64.urlsafe_b64encode(packed).decode().rstrip("=")

    @classmethod
    def of(cls, ident: str, prefix: str) -> Job | None:
        """The job of an id; None for an id that was never handed out."""
        text = ident.removeprefix(prefix)
        try:
            return cls(*orjson.loads(zlib.decompress(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))))
        except (ValueError, TypeError, zlib.error):
            return None


# -- Web Unlocker ------------------------------------------------------------------------------------------------------


def request(call: Call) -> Reply:
    """`POST /request` with `{zone, url, format}`."""
    asked = _body(call)
    for name in ("zone", "url", "format"):
        if not isinstance(asked, dict) or not asked.get(name):
            raise BadRequest(f'"{name}" is required')
    if asked["format"] not in FORMATS:
        raise BadRequest(f'"format" must be one of [{", ".join(FORMATS)}]')
    return _delivered(pages.page(call, asked["url"]), asked["format"])


def background(call: Call) -> Reply:
    """`POST /unblocker/req?zone=` with `{url}`: the result's id stands in a header."""
    asked = _body(call)
    if "zone" not in call.query or not isinstance(asked, dict) or not asked.get("url"):
        raise BadRequest('"zone" and "url" are required')
    job = Job("unlocker", asked["url"], int(call.now.timestamp() * 1000))
    return Reply("", content_type=TEXT, headers={"x-response-id": job.ident("r_")})


def background_result(call: Call) -> Reply:
    """`GET /unblocker/get_result?response_id=&zone=`: 202 while pending."""
    job = Job.of(call.query.get("response_id", ""), "r_")
    if job is None or job.what != "unlocker":
        return Reply("Response does not exist", 404, TEXT)
    if call.now < job.ready:
        return Reply("Request is pending", 202, TEXT)
    return _delivered(pages.page(replace(call, now=job.ready), job.asked), "raw")


def _delivered(page: Reply | None, form: str) -> Reply:
    """The target's page as it is, or in an envelope; None where nobody answered."""
    if page is None:
        return Reply(b"", 502, TEXT, UNREACHABLE)
    if form == "raw":
        return page
    body = page.body if isinstance(page.body, str) else orjson.dumps(page.body).decode()
    return Reply({"status_code": page.status, "headers": {"content-type": page.content_type}, "body": body})


# -- scraper jobs ------------------------------------------------------------------------------------------------------


def trigger(call: Call) -> Reply:
    """`POST /datasets/v3/trigger?dataset_id=&include_errors=&limit_multiple_results=` with a list of inputs."""
    job = _job(call)
    return Reply({"snapshot_id": job.ident("s_")})


def scrape(call: Call) -> Reply:
    """`POST /datasets/v3/scrape`: the same, and the records at once."""
    return Reply(_records(call, _job(call), call.now))


def progress(call: Call) -> Reply:
    """`GET /datasets/v3/progress/{snapshot_id}`: starting, running, ready."""
    job = Job.of(call.path["snapshot_id"], "s_")
    if job is None:
        return Reply("Snapshot does not exist", 404, TEXT)
    return Reply({"snapshot_id": call.path["snapshot_id"], "dataset_id": job.what, "status": _state(call, job)})


def snapshot(call: Call) -> Reply:
    """`GET /datasets/v3/snapshot/{snapshot_id}?format=json`: 202 until the records are ready."""
    job = Job.of(call.path["snapshot_id"], "s_")
    if job is None:
        return Reply("Snapshot does not exist", 404, TEXT)
    if (state := _state(call, job)) != "ready":
        return Reply({"status": state, "message": NOT_READY}, 202)
    return Reply(_records(call, job, job.ready))


def _job(call: Call) -> Job:
    dataset, inputs = call.query.get("dataset_id", ""), _body(call)
    if dataset not in SCRAPERS:
        raise LookupError("dataset does not exist")
    if isinstance(inputs, dict):  # the long form
        inputs = inputs.get("input")
    if not isinstance(inputs, list) or not inputs or not all(isinstance(each, dict) for each in inputs):
        raise BadRequest("Invalid input: a non-empty list of objects is expected")
    limit = call.query.get("limit_multiple_results", "0")
    if not limit.isdecimal():
        raise BadRequest("limit_multiple_results must be a number")
    asked = {"inputs": inputs, "errors": call.query.get("include_errors") == "true", "limit": int(limit)}
    return Job(dataset, asked, int(call.now.timestamp() * 1000))


def _state(call: Call, job: Job) -> str:
    left = job.ready - call.now
    if left <= timedelta():
        return "ready"
    return "starting" if left > JOB_TAKES * 2 / 3 else "running"


def _records(call: Call, job: Job, at: datetime) -> list[dict[str, Any]]:
    """Every input's records as of `at`; what failed is left out unless errors were asked for."""
    found: list[dict[str, Any]] = []
    for asked in job.asked["inputs"]:
        rows = SCRAPERS[job.what](replace(call, now=at), asked)
        rows = rows[: job.asked["limit"]] if job.asked["limit"] else rows
        stamp = {"timestamp": f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03}Z", "input": asked}
        found += [row | stamp for row in rows if job.asked["errors"] or "error" not in row]
    return found


# -- refusals ----------------------------------------------------------------------------------------------------------


def _body(call: Call) -> Any:
    try:
        return orjson.loads(call.body)
    except orjson.JSONDecodeError:
        raise BadRequest("Invalid JSON payload") from None


def _checked(handler: Callable[[Call], Reply]) -> Callable[[Call], Reply]:
    """The handler, with a payload it cannot read answered as Bright Data does."""

    def answer(call: Call) -> Reply:
        try:
            return handler(call)
        except BadRequest as error:
            return Reply(str(error), 400, TEXT)
        except LookupError as error:
            return Reply(str(error), 404, TEXT)

    return answer


def _refuse(refusal: Refusal) -> Reply:
    """What overdoes it meets Bloomberg's robot page at the unlocker, and at the scrapers a 429."""
    if refusal.reason is Reason.LIMITED and refusal.call.url_path == "/request":
        return _delivered(Reply(pages.ROBOT, content_type=pages.HTML), _form(refusal.call))
    status, text = {
        Reason.KEY_MISSING: (401, "Unauthorized"),
        Reason.KEY_UNKNOWN: (401, "Unauthorized"),
        Reason.LIMITED: (429, BUSY),
        Reason.NOT_ENTITLED: (403, "Forbidden"),
        Reason.NO_SUCH_PATH: (404, "Not Found"),
    }[refusal.reason]
    return Reply(text, status, TEXT)


def _form(call: Call) -> str:
    return "json" if b'"json"' in call.body else "raw"


def _key(call: Call) -> str | None:
    scheme, _, token = call.headers.get("Authorization", "").partition(" ")
    return token if scheme == "Bearer" and token else None


def _symbols(call: Call) -> list[str]:
    """The symbols in the URLs of the payload, as the target spells them."""
    try:
        asked = orjson.loads(call.body)
    except orjson.JSONDecodeError:
        return []
    inputs: Sequence[Any] = asked if isinstance(asked, list) else [asked]
    urls = [each["url"] for each in inputs if isinstance(each, Mapping) and isinstance(each.get("url"), str)]
    return [name for url in urls if (name := unquote(urlsplit(url).path).partition("/quote/")[2])]


PROVIDER = Provider(
    name="brightdata",
    routes=tuple(
        Route(path, _checked(handler), name, method)
        for method, path, handler, name in (
            ("POST", "/request", request, "request"),
            ("POST", "/unblocker/req", background, "unblocker"),
            ("GET", "/unblocker/get_result", background_result, "unblocker_result"),
            ("POST", "/datasets/v3/trigger", trigger, "trigger"),
            ("POST", "/datasets/v3/scrape", scrape, "scrape"),
            ("GET", "/datasets/v3/progress/{snapshot_id}", progress, "progress"),
            ("GET", "/datasets/v3/snapshot/{snapshot_id}", snapshot, "snapshot"),
        )
    ),
    key=_key,
    refuse=_refuse,
    plans={"pay_as_you_go": Plan()},
    symbols=_symbols,
)
