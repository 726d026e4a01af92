"""Stored answers read again, against the real store: what was read wrong becomes right once, nothing else changes."""

import json
from pathlib import Path

import orjson
import pytest

from connectors import Call
from infra.clickhouse import DATASET_TABLES, log_table
from infra.clickhouse.archive import Selection
from infra.redaction import Redactor
from streams.errors import FileRefused
from streams.messaging import topics
from streams.messaging.dead_letters import letter
from streams.messaging.messages import Page, PollDone, RawMeta
from streams.messaging.outcomes import PollOutcome
from streams.processing.frames import encode
from streams.processing.normalize import normalize
from streams.processing.replay import Case
from streams.processing.table_rows import TABLES
from streams.runtime.archive import AnswersOfFolder, StoredAnswers, write_file
from streams.runtime.replay import LetterChange, Replay

FIXTURES = Path(__file__).parents[2] / "connectors" / "fixtures"
RECEIVED = 4_000_000_000_000
"""In 2096: what the store keeps for 30 days is kept, and no bar of a fixture begins later."""
MIDNIGHT = 1_717_372_800_000  # 2024-06-03
DAY = 86_400_000
EVERYTHING = Selection()
BARS = Call(dataset="bars", symbols=("AAPL",), interval="1d")


async def insert(store, topic, value, headers=None):
    """Store a record as the sink does."""
    table = TABLES[topic]
    await store.insert(log_table(table.name), table.decode(value, headers or {}))


class Direct:
    """An outbox whose records are stored at once."""

    def __init__(self, store):
        self._store = store
        self.sent = []

    async def send(self, topic, value, *, key=None, headers=None):
        self.sent.append((topic, key))
        await insert(self._store, topic, value, headers)


class Scene:
    """A store, and what is asked of it."""

    def __init__(self, store):
        self.store = store
        self.changes = []
        self.outbox = None

    async def ask(self, sql):
        return (await self.store.query_user(sql)).rows

    async def answered(self, meta, body):
        await insert(self.store, topics.RAW_RESPONSES, body, {"meta": meta.encode()})

    async def replay(self, selection=EVERYTHING, *, dry_run=False, answers=None):
        """Return the summary; `changes` and `outbox` are those of this replay."""
        self.changes, self.outbox = [], Direct(self.store)
        run = Replay(self.ask, None if dry_run else self.outbox, self.changes.append)
        return await run.run(answers or StoredAnswers(self.ask, selection))

    def said(self):
        """Of each change: the kind, the dataset and the fields that differ; of letters the rule."""
        return [
            (one.kind, one.letter.rule) if isinstance(one, LetterChange) else (one.kind, one.dataset, dict(one.fields))
            for one in self.changes
        ]

    async def closes(self):
        return [tuple(row) for row in await self.ask("SELECT toDate(ts), close FROM bars ORDER BY ts")]


@pytest.fixture
def scene(store):
    return Scene(store)


def meta(number=1, at=RECEIVED, call=BARS, provider="polygon", **more):
    path = "/v2/aggs/ticker/AAPL/range/1/day/2024-06-03/2024-06-05"
    return RawMeta(
        **{
            **{"call_id": f"c{number}", "request_id": f"r{number}", "provider": provider, "key_label": "polygon#1"},
            **{"call": call, "page": Page(endpoint="aggregates", path=path, params={"adjusted": "true"})},
            **{"url": f"https://api.massive.com{path}", "status": 200, "headers": {"x": "y"}},
            **{"received_at": at, "latency_ms": 12, **more},
        }
    )


def bar(day, close=11, **changes):
    return {"o": 10, "h": 12, "l": 9, "c": close, "v": 100, "t": MIDNIGHT + (day * 24 + 4) * 3_600_000, **changes}


def aggregates(*rows):
    count = {"queryCount": len(rows), "resultsCount": len(rows), "count": len(rows)}
    return orjson.dumps({"ticker": "AAPL", "status": "OK", "adjusted": True, **count, "results": list(rows)})


def understood(found, body):
    return normalize(found, body, (topics.RAW_RESPONSES, 1, 2))


async def keep(scene, found, body, change=lambda record: record):
    """Store an answer with the records that a parser made of it; `change` is the parser's mistake."""
    await scene.answered(found, body)
    read = understood(found, body)
    for record in read.records:
        await insert(scene.store, topics.MARKET[record.dataset], encode(change(record)))
    for one in read.letters:
        await insert(scene.store, topics.DEAD_LETTERS, one.encode())


def wrong(**columns):
    return lambda record: record.model_copy(update=columns)


def fixtures():
    for path in sorted(FIXTURES.glob("*.json")):
        for number, recording in enumerate(json.loads(path.read_text())):
            case = Case.from_recording({"provider": path.stem, **recording}, recording["call"])
            yield case, f"{path.stem}{number}"


def recorded():
    """Every recorded answer of the fixtures: (meta, body)."""
    for number, (case, name) in enumerate(fixtures()):
        if case.request.endpoint:
            found = meta(
                at=RECEIVED + number,
                call=case.call,
                provider=case.provider,
                call_id=name,
                request_id=name,
                page=Page.of(case.request),
                status=case.answer.status,
                headers=dict(case.answer.headers),
            )
            yield found, case.answer.body


async def test_what_other_answers_brought_later_is_found_by_its_key_in_every_table(scene):
    for found, body in recorded():
        await scene.answered(found, body)
        for record in understood(found, body).records:
            later = record.model_copy(update={"observed_at": RECEIVED + DAY, "request_id": "not archived"})
            await insert(scene.store, topics.MARKET[record.dataset], encode(later))

    summary = await scene.replay()

    assert summary.rows == {}
    assert {topic for topic, _ in scene.outbox.sent} <= {topics.DEAD_LETTERS}


async def test_every_recorded_answer_is_restored_and_then_nothing_differs(scene):
    for found, body in recorded():
        await scene.answered(found, body)

    dry = await scene.replay(dry_run=True)
    shown = len(scene.changes)
    assert [row for table in DATASET_TABLES.values() for row in await scene.ask(f"SELECT 1 FROM {table}")] == []
    wet = await scene.replay()

    stored = {name: (await scene.ask(f"SELECT count() FROM {table}"))[0][0] for name, table in DATASET_TABLES.items()}
    assert {name for name, count in stored.items() if not count} == set()
    assert wet == dry
    assert wet.rows == {"added": sum(stored.values())}
    assert wet.letters["new"] == (await scene.ask("SELECT count() FROM dead_letters"))[0][0] > 0
    assert shown == len(scene.changes) == wet.rows["added"] + wet.letters["new"]
    again = await scene.replay()
    assert (scene.said(), scene.outbox.sent) == ([], [])
    assert again.letters == {"open": wet.letters["new"], "closed": 0, "new": 0}


async def test_only_what_differs_is_published(scene):
    body = aggregates(bar(0), bar(1, 11.5), bar(2))
    await keep(scene, meta(), body, wrong(close=[11.0, 99.0, 11.0]))

    summary = await scene.replay()

    assert scene.said() == [("changed", "bars", {"close": (99.0, 11.5)})]
    assert scene.outbox.sent == [("market.bars", "AAPL")]
    assert (await scene.ask("SELECT count() FROM bars_log"))[0][0] == 4
    assert [close for _, close in await scene.closes()] == [11.0, 11.5, 11.0]
    assert summary.rows == {"changed": 1}


async def test_a_later_answer_is_never_replaced_by_an_earlier_one(scene):
    await keep(scene, meta(1, RECEIVED), aggregates(bar(0, 10.5), bar(1, 10.5)))
    await keep(scene, meta(2, RECEIVED + 1), aggregates(bar(0, 11.5)))

    await scene.replay()

    assert scene.said() == []
    assert [close for _, close in await scene.closes()] == [11.5, 10.5]


@pytest.mark.parametrize("batch", [1, 100])
async def test_of_two_answers_the_later_counts_when_both_were_read_wrong(scene, batch, monkeypatch):
    monkeypatch.setattr("streams.runtime.archive.BATCH", batch)
    for number, close in ((1, 10.5), (2, 11.5)):
        await scene.answered(meta(number, RECEIVED + number), aggregates(bar(0, close)))

    dry = await scene.replay(dry_run=True)
    wet = await scene.replay()

    assert dry.rows == wet.rows == {"added": 1}
    assert [close for _, close in await scene.closes()] == [11.5]
    assert (await scene.replay()).rows == {}


async def test_two_answers_of_one_millisecond_do_not_replace_each_other_in_turns(scene):
    await keep(scene, meta(2), aggregates(bar(0, 10.5)))
    await keep(scene, meta(1), aggregates(bar(0, 11.5)))

    await scene.replay()

    assert scene.said() == []


async def test_a_row_that_another_request_got_from_the_cache_is_mended_too(scene):
    await keep(scene, meta(), aggregates(bar(0)), wrong(close=[99.0], request_id="of a cached answer"))

    await scene.replay()

    assert scene.said() == [("changed", "bars", {"close": (99.0, 11.0)})]


async def test_a_row_that_is_read_no_more_is_said_and_stays(scene):
    await keep(scene, meta(), aggregates(bar(0)), wrong(symbol="AAPL.X", ts=[MIDNIGHT]))

    summary = await scene.replay()

    assert summary.rows == {"added": 1, "gone": 1}
    assert [(one.kind, one.key["symbol"]) for one in scene.changes] == [("added", "AAPL"), ("gone", "AAPL.X")]
    assert (await scene.replay()).rows == {"gone": 1}
    assert scene.outbox.sent == []


async def test_a_letter_is_closed_when_its_row_is_read_and_stays_when_not(scene):
    await keep(scene, meta(), aggregates(bar(0), bar(1, h=1)))
    where = {"provider": "polygon", "dataset": "bars", "symbol": "AAPL", "call_id": "c1", "request_id": "r1"}
    old = letter(stage="normalize", rule="MalformedPayload", reason="not understood then", at=RECEIVED, **where)
    sink = letter(stage="sink", rule="store_refused", at=RECEIVED, reason="too old", raw_topic="market.bars", row="{}")
    for one in (old, sink):
        await insert(scene.store, topics.DEAD_LETTERS, one.encode())

    summary = await scene.replay()

    assert scene.said() == [("closed", "MalformedPayload")]
    assert summary.letters == {"closed": 1, "new": 0, "open": 1}
    assert await scene.ask("SELECT rule FROM dead_letters ORDER BY rule") == [("low_above_high",), ("store_refused",)]
    assert await scene.ask("SELECT letter_id, resolved_at > at FROM resolved_dead_letters") == [
        (old.letter_id, await later(scene, old))
    ]
    assert (await scene.replay()).letters["closed"] == 0


async def later(scene, old):
    """Whether the letter was closed behind its time: answers of this test are of the future."""
    return (await scene.ask(f"SELECT now64(3) > fromUnixTimestamp64Milli({old.at})"))[0][0]


async def test_a_record_that_the_store_refuses_is_not_published_again_and_again(scene):
    await scene.answered(meta(), aggregates(bar(0)))
    record = understood(meta(), aggregates(bar(0))).records[0]
    refused = letter(
        stage="sink", rule="store_refused", at=RECEIVED, reason="any", raw_topic="x", row=encode(record).decode()
    )
    await insert(scene.store, topics.DEAD_LETTERS, refused.encode())

    summary = await scene.replay()

    assert (summary.rows, scene.outbox.sent) == ({"refused": 1}, [])


async def test_an_answer_of_an_earlier_version_is_read_by_the_report_of_its_poll(scene):
    await scene.answered(meta(), aggregates(bar(0)))
    await scene.answered(meta(2, RECEIVED + 1), aggregates(bar(1)))
    await scene.store.execute("CREATE TABLE copied AS raw_responses_log ENGINE = MergeTree ORDER BY call_id")
    await scene.store.execute("INSERT INTO copied SELECT * REPLACE('' AS call, '' AS path) FROM raw_responses_log")
    await scene.store.execute("TRUNCATE TABLE raw_responses_log")
    await scene.store.execute("INSERT INTO raw_responses_log SELECT * FROM copied")
    done = PollDone(
        request_id="r1", job_id="j", provider="polygon", call=BARS, outcome=PollOutcome.RECORDS, at=RECEIVED
    )
    await insert(scene.store, topics.POLL_DONE, done.encode())
    answers = StoredAnswers(scene.ask, Selection())

    summary = await scene.replay(answers=answers)

    assert (summary.answers, summary.rows) == (1, {"added": 1})
    assert list(answers.skipped.values()) == [1]


@pytest.mark.parametrize(
    ("selection", "read"),
    [
        (Selection(), 3),
        (Selection(provider="polygon"), 2),
        (Selection(dataset="news"), 1),
        (Selection(symbols=("MSFT", "IBM")), 1),
        (Selection(since=RECEIVED + 1), 2),
        (Selection(dead=True), 1),
        (Selection(provider="polygon", dead=True, since=RECEIVED + 1), 0),
    ],
)
async def test_filters_select_answers_of_the_store_and_of_a_folder(scene, tmp_path, selection, read):
    await keep(scene, meta(1), aggregates(bar(0), bar(1, h=1)))
    await scene.answered(meta(2, RECEIVED + 1, BARS.model_copy(update={"symbols": ("IBM",)})), b"{}")
    await scene.answered(meta(3, RECEIVED + 2, Call(dataset="news"), provider="yahoo"), b"{}")
    folder = tmp_path / "answers"
    folder.mkdir()
    async for batch in StoredAnswers(scene.ask, Selection()).batches():
        for answer in batch:
            write_file(folder, answer, Redactor())

    stored = await scene.replay(selection, dry_run=True)
    of_folder = await scene.replay(
        selection, dry_run=True, answers=AnswersOfFolder(folder, selection, frozenset({"c1"}))
    )

    assert stored.answers == of_folder.answers == read


async def test_an_exported_answer_is_the_same_answer_without_its_key(scene, tmp_path):
    secret = "0123456789abcdef"
    body = b"\xff\xfe not UTF-8, key=" + secret.encode()
    sent = meta(page=Page(endpoint="aggregates", path="/v2/x", params={"a": "b"}, method="POST", body={"q": [1]}))
    await scene.answered(sent, body)
    await scene.answered(meta(2, url=f"{meta().url}?apiKey={secret}"), aggregates(bar(0)))
    folder = tmp_path / "answers"
    folder.mkdir()

    async for batch in StoredAnswers(scene.ask, Selection()).batches():
        paths = [write_file(folder, answer, Redactor(secret)) for answer in batch]
    found = [answer async for batch in AnswersOfFolder(folder, Selection(), frozenset()).batches() for answer in batch]

    assert [answer.meta.call_id for answer in found] == ["c2", "c1"]
    assert found[1].meta == sent.model_copy(update={"key_label": ""})
    assert found[1].body == body.replace(secret.encode(), b"***")
    assert found[0].body == aggregates(bar(0))
    assert all(secret.encode() not in path.read_bytes() and b"polygon#1" not in path.read_bytes() for path in paths)
    case = Case.from_recording(json.loads(paths[0].read_text()), {"dataset": "bars", "symbol": "AAPL"})
    assert (case.request.endpoint, case.answer.body) == ("aggregates", aggregates(bar(0)))


async def test_a_file_that_is_no_answer_is_named(tmp_path):
    (tmp_path / "1.json").write_text('{"provider": "yahoo"}')

    with pytest.raises(FileRefused, match=r"1\.json is no exported answer: call_id"):
        [batch async for batch in AnswersOfFolder(tmp_path, Selection(), frozenset()).batches()]


async def test_memory_holds_some_answers_at_a_time(scene):
    body = aggregates(bar(0)) + b" " * 2**20
    for number in range(10):
        await scene.answered(meta(number, RECEIVED + number), body)

    batches = [len(batch) async for batch in StoredAnswers(scene.ask, Selection()).batches()]

    assert sum(batches) == 10
    assert max(batches) < 5
