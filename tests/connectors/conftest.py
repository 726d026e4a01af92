"""Recorded answers for tests that alter them: the fixtures of the repository, and the corpus where there is one."""

import json
import re
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import orjson
import pytest

from connectors import connectors
from streams.processing import replay
from streams.processing.conclude import rows_of
from streams.processing.normalize import judge

FIXTURES = Path(__file__).parent / "fixtures"
CORPUS = next(filter(Path.is_dir, (above / "shared" / "corpus" for above in Path(__file__).parents)), None)
LONGEST = 3
"""Rows that a recording keeps of each list: what is said of one row is said of all."""
DATA_KEY = re.compile(r"\d[\d: -]*")
"""A key that is a date, a time or a number: it stands for a row, not for a field."""
SCRIPT = re.compile(r'(<script[^>]*\bid="__NEXT_DATA__"[^>]*>)(.*?)</script>', re.DOTALL)
"""The JSON that a page carries."""


@dataclass(frozen=True, slots=True)
class Recording:
    """One recorded answer."""

    name: str
    case: replay.Case

    @property
    def provider(self):
        return self.case.provider

    @property
    def body(self):
        """The JSON of the answer, or of the page's script; the text of any other answer."""
        text = self.case.answer.body.decode("utf-8", "replace")
        found = SCRIPT.search(text)
        try:
            return json.loads(found[2] if found else text)
        except ValueError:
            return text

    def with_body(self, body):
        """The same recording with another body, in the place of the JSON or text that `body` gives."""
        page = self.case.answer.body.decode("utf-8", "replace")
        new = body if isinstance(body, str) else orjson.dumps(body).decode()
        if found := SCRIPT.search(page):
            new = f"{page[: found.start(2)]}{new}{page[found.end(2) :]}"
        return self.with_bytes(new.encode())

    def with_bytes(self, body):
        """The same recording with these bytes as its whole body."""
        return replace(self, case=replace(self.case, answer=replace(self.case.answer, body=body)))

    def shortened(self):
        """The same recording with `LONGEST` rows of each of its lists."""
        return self.with_body(shortened(self.body)) if isinstance(self.body, (dict, list)) else self

    def read(self):
        """What the connector makes of it."""
        connector = connectors()[self.provider]
        return Seen.of(connector.read(self.case.call, self.case.request, self.case.answer, "recording"))


@dataclass(frozen=True, slots=True)
class Seen:
    """What an answer became, as far as a loss shows in it."""

    outcome: str
    reason: str
    rows: Counter
    """Rows by dataset."""
    faults: Counter
    """Rejects by rule and reason, and the symbols that are missing."""
    more: bool
    """Whether another page is asked for."""

    @classmethod
    def of(cls, outcome):
        judged = judge(outcome)
        rows = Counter()
        for record in judged.records:
            rows[record.dataset] += rows_of(record)
        faults = Counter((reject.rule, reject.reason) for reject in judged.rejects)
        faults.update((symbol, refusal.name) for symbol, refusal in outcome.missing.items())
        reason = outcome.refusal.reason if outcome.refusal else ""
        return cls(outcome.name, reason, rows, faults, outcome.next is not None)

    def silent_loss(self, after):
        """What `after` lacks of this without a word; empty where all is there, or where the loss is said.

        A loss is said by `MalformedPayload`, by a dead letter, or by a missing symbol that was not there before. Any
        other refusal in the place of records is a wrong one. A refusal must not become an empty answer.
        """
        if after.outcome == "MalformedPayload" or after.faults - self.faults:
            return ""
        if self.outcome != "records":
            return f"{self.outcome} became an answer without records" if after.outcome == "records" else ""
        if after.outcome != "records":
            return f"{sum(self.rows.values())} rows became {after.outcome}: {after.reason}"
        lost = [f"{n} rows of {dataset}" for dataset, n in (self.rows - after.rows).items()]
        return ", ".join([*lost, *["the next page"] * (self.more and not after.more)])


def shortened(value):
    """The value with `LONGEST` rows of each list, and of each object that is keyed by dates or numbers."""
    if isinstance(value, list):
        return [shortened(part) for part in value[:LONGEST]]
    if isinstance(value, dict):
        keyed = [*filter(DATA_KEY.fullmatch, value)]
        left_out = set(keyed[LONGEST:])
        return {name: shortened(part) for name, part in value.items() if name not in left_out}
    return value


def fixtures():
    for provider in sorted(connectors()):
        for one in json.loads((FIXTURES / f"{provider}.json").read_text()):
            yield f"{provider}: {one['name']}", {"provider": provider, **one}, one["call"]


def corpus():
    if CORPUS is None:
        return
    for path in sorted((CORPUS / "expected").glob("*/*.json")):
        if path.parent.name in connectors():
            answer = json.loads((CORPUS / path.parent.name / path.name).read_text())
            yield f"corpus {path.parent.name}/{path.stem}", answer, json.loads(path.read_text())["call"]


def recorded():
    """Every recorded answer that a connector recognises as one of its endpoints'."""
    for name, answer, call in (*fixtures(), *corpus()):
        case = replay.Case.from_recording(answer, call)
        if case.request.endpoint:
            yield Recording(name, case).shortened()


def pytest_generate_tests(metafunc):
    if "recording" in metafunc.fixturenames:
        metafunc.parametrize("recording", [pytest.param(one, id=one.name) for one in recorded()])
    if "good_recording" in metafunc.fixturenames:
        good = (one for one in recorded() if one.case.answer.status == 200 and one.read().rows)
        metafunc.parametrize("good_recording", [pytest.param(one, id=one.name) for one in good])


@pytest.fixture(scope="session")
def recordings():
    """Every recorded answer of the fixtures and, where it is present, of the corpus."""
    return list(recorded())


PYTHON = re.compile(
    r"\b\w+(Error|Exception)\b|\b(None|NoneType|True|False|str|int|float|dict|bytes|tuple|tz\w+)\b|object has no|"
    r"subscriptable|iterable|unhashable|unpack|positional|operand|fromisoformat|could not convert|literal|pydantic"
)


def _of_python(reason):
    """What a reason says in words about Python rather than about the data, whose texts it quotes."""
    quoted = r'"[^"]*("|…|$)|HTTP \d+: .*'
    return PYTHON.search(re.sub(quoted, "", reason, flags=re.DOTALL))


@pytest.fixture(scope="session")
def of_python():
    """Finds in a reason the words that are about Python."""
    return _of_python
