"""What a program gets: results made of reports and records in any order, ranges, shares, frames, errors."""

import asyncio
import json
import re
import sys
from dataclasses import asdict, replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors import Call, UnsupportedCall, connector, connectors
from infra import settings
from infra.clock import SYSTEM
from infra.kafka.admin import ensure_topics
from infra.kafka.connection import BrokerUnreachable
from streams.client import Client, FetchResult, QuoteResult, SchedulerClient, Tried, fetch_ticker, requests_for
from streams.client.call_builder import call_for, share_out, span
from streams.client.gather import BRINGS, Gathering
from streams.messaging import topics
from streams.messaging.bars import Bar
from streams.messaging.follow import follow, tail
from streams.messaging.messages import Child, Hop, PollDone, PollRequest
from streams.processing import replay
from streams.runtime import discovery
from streams.runtime.process_tree import ProcessTreeAddress
from streams.runtime.run_file import RunFile

DAY = 86_400_000
NOW = 1_717_406_123_000  # 2024-06-03 09:15:23 UTC
EVERYBODY = frozenset(connectors())
FIXTURES = Path(__file__).parents[2] / "connectors" / "fixtures"


def daily(*symbols, days=30):
    return Call(dataset="bars", symbols=symbols, interval="1d", start=NOW - days * DAY, end=NOW)


def quotes(*symbols):
    return Call(dataset="quote", symbols=symbols)


def gathering(call, slip):
    requests = requests_for([(call, slip)])
    return Gathering.of(requests), requests[0]


def report(request, outcome="records", *children, **more):
    return PollDone.of(request, outcome, NOW, map(Child.of, children), **more)


def frame(request, symbol="AAPL", ts=(DAY, 2 * DAY), close=10.0, **more):
    prices = dict.fromkeys(("open", "high", "low", "close", "volume"), [close] * len(ts))
    absent = dict.fromkeys(("vwap", "trades", "adj_close", "quote_volume", "currency"))
    common = {"symbol": symbol, "asset_class": "equity", "source": request.provider, "observed_at": NOW}
    kind = {"interval": "1d", "adjustment": "split", "request_id": request.request_id}
    return {**common, **kind, **absent, **prices, "ts": list(ts), **more}


def quote(request, symbol="AAPL", **more):
    common = {"symbol": symbol, "asset_class": "equity", "source": request.provider, "observed_at": NOW}
    return {**common, "request_id": request.request_id, "ts": NOW - 1000, "price": 10.0, **more}


# -- reports and records become results -------------------------------------------------------------------------------


@st.composite
def stories(draw):
    """Everything that comes of a job: of each request its report and its frames, as a poller makes them."""
    alike = draw(st.sampled_from([("AAPL",), ("AAPL", "IBM", "MSFT")]))
    slip = tuple(draw(st.permutations(["polygon", "alpaca", "yahoo"])))
    requests = requests_for([(daily(*alike), slip), (daily("FB"), slip)])
    told = []

    def end(request, outcome, children=(), frames=(), reason=""):
        rows = sum(len(found["ts"]) for found in frames)
        told.append(report(request, outcome, *children, records=rows, reason=reason))
        told.extend(frames)
        for child in children:
            handle(child)

    def handle(request, depth=0):
        parts = [request.call] if request.page else connector(request.provider).split(request.call)
        if len(parts) > 1:
            end(request, "Cut", [request.child(i, call=part) for i, part in enumerate(parts)])
        elif draw(st.booleans()):
            served = [symbol for symbol in request.call.symbols if draw(st.booleans())]
            at = st.lists(st.integers(0, 6), min_size=1, max_size=4, unique=True).map(sorted)
            found = [frame(request, symbol, [n * DAY for n in draw(at)], close=len(told) + 1.0) for symbol in served]
            page = {"endpoint": "bars", "path": "/next"}
            paged = request.request_id.count("/") < 4 and draw(st.booleans())
            lacking = tuple(symbol for symbol in request.call.symbols if symbol not in served)
            children = [request.child(0, page=page)] if paged else []
            if lacking and served and len(request.slip) > 1:
                hop = Hop(provider=request.provider, outcome="UnknownSymbol")
                call = request.call.model_copy(update={"symbols": lacking})
                changed = {"call": call, "slip": request.slip[1:], "tried": (*request.tried, hop), "page": None}
                children.append(request.child(1, **changed))
            end(request, "records", children, found)
        elif len(request.slip) > 1:
            hop = Hop(provider=request.provider, outcome="RateLimited", reason="wait")
            changed = {"slip": request.slip[1:], "tried": (*request.tried, hop), "page": None}
            end(request, "RateLimited", [request.child(0, **changed)], reason="wait")
        else:
            end(request, "UnknownSymbol", reason="who is that?")

    for request in requests:
        handle(request)
    return requests, (*alike, "FB"), told


def take(found, events):
    for event in events:
        if isinstance(event, PollDone):
            found.note(event)
        else:
            found.add("bars", event)
        if found.complete:
            break
    return found


@given(stories(), st.data())
def test_any_order_of_reports_and_records_gives_the_same_results(story, data):
    requests, symbols, told = story
    expected = take(Gathering.of(requests), told)
    again = data.draw(st.lists(st.sampled_from([event for event in told if isinstance(event, dict)] or told)))
    shuffled = data.draw(st.permutations(told + again))

    found = take(Gathering.of(requests), shuffled)

    assert expected.complete
    assert found.complete
    assert [found.bars(symbol, 1) for symbol in symbols] == [expected.bars(symbol, 1) for symbol in symbols]


@given(stories(), st.data())
def test_what_succeeds_before_everything_has_come_stays_as_it_is(story, data):
    requests, symbols, told = story
    some = data.draw(st.permutations(told))[: data.draw(st.integers(0, len(told)))]
    whole = take(Gathering.of(requests), told)

    early = take(Gathering.of(requests), some)

    for symbol in symbols:
        found, final = early.bars(symbol, 1), whole.bars(symbol, 1)
        assert found == final or found.error.startswith("timed out")


def test_who_serves_is_the_source_and_who_refused_before_is_told():
    found, root = gathering(daily("AAPL"), ("polygon", "yahoo"))
    hop = Hop(provider="polygon", outcome="RateLimited", reason="wait\n  a minute")
    child = root.child(0, slip=("yahoo",), tried=(hop,))

    take(found, [report(root, "RateLimited", child, reason=hop.reason), report(child, records=2), frame(child)])

    result = found.bars("AAPL", 60)
    assert result.success
    assert (result.source, [bar.ts for bar in result.candles]) == ("yahoo", [DAY, 2 * DAY])
    assert result.tried == (Tried("polygon", "RateLimited", "wait a minute"),)


def test_a_symbol_that_everybody_refuses_fails_with_what_each_one_said():
    found, root = gathering(daily("ZZZZ"), ("polygon", "yahoo"))
    hops = (Hop(provider="polygon", outcome="Open", reason="rests"), Hop(provider="yahoo", outcome="UnknownSymbol"))

    child = root.child(0, slip=("yahoo",), tried=hops)

    take(found, [report(child, "UnknownSymbol"), report(root, "Open", child)])

    result = found.bars("ZZZZ", 60)
    assert not result.success
    assert [tried.outcome for tried in result.tried] == ["Open", "UnknownSymbol"]
    assert result.error == "nobody served it: polygon: Open rests; yahoo: UnknownSymbol"


def test_an_answer_without_a_row_is_a_failure_of_that_symbol_only():
    found, root = gathering(daily("AAPL", "ZZZZ"), ("alpaca",))

    take(found, [report(root, records=2), frame(root)])

    assert found.bars("AAPL", 60).success
    assert found.bars("ZZZZ", 60).tried == (Tried("alpaca", "NoRecords", "it answered without a row of ZZZZ"),)


def test_rows_that_ride_along_are_waited_for_as_well():
    found, root = gathering(daily("AAPL"), ("yahoo",))
    split = {"symbol": "AAPL", "kind": "split", "ratio": 4.0, "observed_at": NOW, "request_id": root.request_id}
    take(found, [report(root, records=3), frame(root)])

    assert not found.complete
    assert "timed out" in found.bars("AAPL", 60).error
    found.add("actions", split)
    assert found.complete
    assert len(found.bars("AAPL", 60).candles) == 2


def test_a_record_that_comes_twice_counts_once():
    found, root = gathering(daily("AAPL", "IBM"), ("alpaca",))

    take(found, [report(root, records=4), frame(root), frame(root, observed_at=NOW + 1)])

    assert not found.complete
    found.add("bars", frame(root, "IBM"))
    assert found.complete
    assert [bar.observed_at for bar in found.bars("AAPL", 60).candles] == [NOW + 1, NOW + 1]


def test_another_job_s_record_is_nobody_s():
    found, root = gathering(daily("AAPL"), ("yahoo",))

    take(found, [report(root, records=2), frame(root, request_id="somebody-0")])

    assert not found.complete


def test_a_time_out_names_who_has_not_answered_and_sinks_nobody_else():
    found, root = gathering(daily("AAPL", "IBM"), ("polygon", "yahoo"))
    parts = [root.child(n, call=daily(symbol)) for n, symbol in enumerate(("AAPL", "IBM"))]
    refused = report(parts[1], "ProviderUnavailable", parts[1].child(0, slip=("yahoo",)), reason="HTTP 503")

    take(found, [report(root, "Cut", *parts), report(parts[0], records=2), frame(parts[0]), refused])

    assert found.bars("AAPL", 5).success
    assert found.bars("IBM", 5).tried == (
        Tried("polygon", "ProviderUnavailable", "HTTP 503"),
        Tried("yahoo", "Timeout", "no answer within 5 s"),
    )
    assert found.bars("IBM", 5).error.startswith("timed out after 5 s: polygon: ProviderUnavailable HTTP 503; yahoo:")


def test_who_is_asked_first_is_told_when_nothing_comes_at_all():
    found, _ = gathering(daily("AAPL"), ("polygon", "yahoo"))

    assert found.bars("AAPL", 5).tried == (Tried("polygon", "Timeout", "no answer within 5 s"),)


def test_a_part_that_nobody_serves_fails_the_whole():
    found, root = gathering(daily("AAPL"), ("polygon",))
    halves = [root.child(n) for n in range(2)]
    lost = report(halves[1], "ProviderUnavailable", reason="HTTP 503")

    take(found, [report(root, "Cut", *halves), report(halves[0], records=2), frame(halves[0]), lost])

    result = found.bars("AAPL", 60)
    assert (result.candles, result.source) == ((), None)
    assert result.error == "nobody served a part of it: polygon: ProviderUnavailable HTTP 503"


def test_pages_that_may_not_be_asked_are_a_part_that_nobody_serves():
    found, root = gathering(daily("AAPL"), ("polygon",))

    take(
        found,
        [
            report(root, "Truncated", root.child(1, call=daily("ZZZZ")), reason="next page: seen before", records=2),
            frame(root),
        ],
    )
    take(found, [report(root.child(1))])

    assert [failure.outcome for failure in found.job.failures] == ["Truncated"]
    assert found.bars("AAPL", 60).error == "nobody served a part of it: polygon: Truncated next page: seen before"


def test_who_takes_over_after_a_page_replaces_what_came_before():
    found, root = gathering(daily("AAPL"), ("polygon", "yahoo"))
    page = root.child(0)
    whole = page.child(0, slip=("yahoo",))
    reports = report(root, "records", page, records=1), report(page, "RateLimited", whole), report(whole, records=2)

    take(found, [*reports, frame(whole, close=7.0), frame(root, ts=[DAY], close=5.0)])

    assert [bar.close for bar in found.bars("AAPL", 60).candles] == [7.0, 7.0]


def test_adjustments_are_never_mixed():
    found, root = gathering(daily("AAPL"), ("polygon", "yahoo"))
    halves = [root.child(0), root.child(1, slip=("yahoo",))]
    frames = [frame(halves[0]), frame(halves[1], ts=[3 * DAY], adjustment="raw")]

    take(found, [report(root, "Cut", *halves), report(halves[0], records=2), report(halves[1], records=1), *frames])

    result = found.bars("AAPL", 60)
    assert result.candles == ()
    assert "polygon split, yahoo raw" in result.error


def test_a_quote_tells_its_source_and_whether_it_was_known_already():
    found, root = gathering(quotes("AAPL", "IBM"), ("polygon", "yahoo"))
    asked = root.child(0, call=quotes("IBM"))
    found.note(report(root, "cached", asked, records=1))
    found.add("quote", quote(root, source="yahoo"))
    found.note(report(asked, records=1))
    found.add("quote", quote(asked, "IBM"))

    known, called = found.quote("AAPL", 30), found.quote("IBM", 30)

    assert found.complete
    assert (known.source, known.cached, known.quote.price, known.error) == ("yahoo", True, 10.0, None)
    assert (called.source, called.cached) == ("polygon", False)


def test_a_quote_that_has_come_does_not_wait_for_its_siblings():
    found, root = gathering(quotes("AAPL", "ZZZZ"), ("polygon", "yahoo"))
    found.note(report(root, "records", root.child(1, call=quotes("ZZZZ"), slip=("yahoo",)), records=1))
    found.add("quote", quote(root))

    assert found.quote("AAPL", 30).success
    assert found.quote("ZZZZ", 30).error.startswith("timed out")


# -- what is asked ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (None, None, ("2024-05-31T00:00", "2024-06-03T09:15:23")),
        (None, "2024-05-31", ("2024-05-29T00:00", "2024-06-01T00:00")),
        ("2024-01-02", date(2024, 1, 3), ("2024-01-02T00:00", "2024-01-04T00:00")),
        (datetime(2024, 1, 2, 14, 30), "2024-01-02T16:30:00+01:00", ("2024-01-02T14:30", "2024-01-02T15:30")),  # noqa: DTZ001
    ],
)
def test_a_range_is_said_in_days_or_moments(start, end, expected):
    found = span(3, start, end, NOW)

    assert found == tuple(round(datetime.fromisoformat(f"{text}+00:00").timestamp() * 1000) for text in expected)


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (lambda: span(1, "yesterday", None, NOW), "'yesterday' is no date: write 2024-06-03 or 2024-06-03T13:30:00Z"),
        (lambda: call_for(dataset="bars", interval="2d"), "interval: Input should be '1m'"),
        (lambda: call_for(dataset="bars", interval="1d", start=2, end=1), "the range is empty"),
    ],
)
def test_an_option_that_cannot_be_used_is_told_in_one_line(make, line):
    with pytest.raises(ValueError, match=rf"^{re.escape(line)}[^\n]*$"):
        make()


def test_symbols_share_a_call_where_the_provider_takes_several():
    call = call_for(dataset="quote")

    calls, nobody = share_out(call, ["AAPL", "IBM", "AAPL", "VOD.XLON"], EVERYBODY, ())

    assert nobody == {}
    assert [(part.symbols, slip[0]) for part, slip in calls] == [(("AAPL", "IBM"), "polygon"), (("VOD.XLON",), "eodhd")]


def test_symbols_are_asked_singly_where_the_provider_takes_one():
    call = call_for(dataset="bars", interval="1d", start=NOW - DAY, end=NOW)

    calls, _ = share_out(call, ["AAPL", "IBM"], EVERYBODY, ("polygon",))

    assert [part.symbols for part, _ in calls] == [("AAPL",), ("IBM",)]


def test_what_nobody_serves_is_told_without_asking():
    call = call_for(dataset="bars", interval="1d", asset_class="forex")

    calls, nobody = share_out(call, ["EUR/USD", "EURCHF", "no pair"], {"polygon", "yahoo"}, ())

    assert [part.symbols for part, _ in calls] == [("EUR/USD",)]
    assert nobody == {
        "EURCHF": "nobody can serve it: EURCHF is not canonical: did you mean EUR/CHF?",
        "no pair": "nobody can serve it: no pair is no canonical symbol of the asset class forex: write EUR/USD",
    }


def test_an_unknown_provider_is_a_mistake_of_the_caller():
    with pytest.raises(UnsupportedCall, match="unknown provider 'poligon'; known: alpaca"):
        share_out(call_for(dataset="quote"), ["AAPL"], EVERYBODY, ("poligon",))


def fixtures():
    for path in sorted(FIXTURES.glob("*.json")):
        yield from ({**fixture, "provider": path.stem} for fixture in json.loads(path.read_text()))


def test_answers_hold_no_other_dataset_than_is_followed():
    found = {}
    for fixture in fixtures():
        case = replay.Case.from_recording(fixture, {**fixture["call"], "provider": fixture["provider"]})
        for record in replay.run(case).normalized.records:
            found.setdefault(case.call.dataset, set()).add(record.dataset)

    assert {dataset: found[dataset] for dataset in BRINGS} == {name: set(BRINGS[name]) for name in BRINGS}


# -- results ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def result():
    found, root = gathering(daily("AAPL"), ("polygon",))
    return take(found, [report(root, records=2), frame(root)]).bars("AAPL", 60)


def test_a_result_is_ready_for_json(result):
    told = json.loads(json.dumps(result.to_dict()))

    assert (told["symbol"], told["success"], told["source"], told["error"]) == ("AAPL", True, "polygon", None)
    assert [bar["ts"] for bar in told["candles"]] == ["1970-01-02T00:00:00+00:00", "1970-01-03T00:00:00+00:00"]
    assert told["candles"][0]["observed_at"] == "2024-06-03T09:15:23+00:00"


def test_a_failure_is_ready_for_json():
    tried = (Tried("polygon", "RateLimited", "wait"),)

    told = json.loads(json.dumps(QuoteResult("AAPL", tried=tried, error="no").to_dict()))

    assert (told["success"], told["quote"]) == (False, None)
    assert told["tried"] == [{"provider": "polygon", "outcome": "RateLimited", "reason": "wait"}]


def test_a_quote_is_ready_for_json():
    found, root = gathering(quotes("AAPL"), ("polygon",))
    found.note(report(root, records=1))
    found.add("quote", quote(root))

    told = json.loads(json.dumps(found.quote("AAPL", 30).to_dict()))

    assert (told["quote"]["ts"], told["quote"]["price"]) == ("2024-06-03T09:15:22+00:00", 10.0)


def test_a_pandas_frame_has_utc_times_and_floats(result):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")

    made = result.frame("pandas")

    assert list(made.columns) == list(Bar.__dataclass_fields__)
    assert str(made["ts"].dtype) == str(made["observed_at"].dtype) == "datetime64[ms, UTC]"
    assert made["ts"].tolist() == [pandas.Timestamp("1970-01-02", tz="UTC"), pandas.Timestamp("1970-01-03", tz="UTC")]
    assert (made["close"].tolist(), str(made["vwap"].dtype)) == ([10.0, 10.0], "float64")
    assert made["vwap"].isna().all()


def test_an_arrow_table_has_utc_times_and_counts(result):
    pytest.importorskip("pyarrow")
    counted = replace(result, candles=tuple(replace(bar, trades=7) for bar in result.candles))

    made = counted.frame("arrow")

    assert str(made.schema.field("ts").type) == "timestamp[ms, tz=UTC]"
    assert made.column("ts").to_pylist()[0] == datetime(1970, 1, 2, tzinfo=UTC)
    assert (made.column("trades").to_pylist(), str(made.schema.field("trades").type)) == ([7, 7], "int64")


def test_a_polars_frame_has_utc_times(result):
    polars = pytest.importorskip("polars")

    made = result.frame("polars")

    assert made.schema["ts"] == polars.Datetime("ms", "UTC")
    assert made["close"].to_list() == [10.0, 10.0]


def test_a_frame_of_nothing_has_the_same_columns(result):
    pytest.importorskip("pyarrow")

    assert FetchResult("AAPL", error="no").frame("arrow").schema == result.frame("arrow").schema


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_a_missing_package_is_told_with_what_to_install(result, library, monkeypatch):
    monkeypatch.setitem(sys.modules, library, None)

    with pytest.raises(ImportError, match=rf"a frame needs {library}: pip install 'tapestream\[frames\]'"):
        result.frame(library.removeprefix("py"))


def test_another_library_is_refused(result):
    with pytest.raises(ValueError, match="'excel' makes no frames: write pandas, polars or arrow"):
        result.frame("excel")


# -- where the pipeline is --------------------------------------------------------------------------------------------


def test_without_a_tree_it_is_the_broker_of_the_settings_and_whoever_has_a_key(tmp_path):
    given = {"DATA_DIR": str(tmp_path), "KAFKA_URL": "kafka://there:1234", "FMP_KEYS": "key"}

    found = discovery.find(settings.load(Path("none"), given))

    assert (str(found.bootstrap), found.providers) == ("there:1234", {"fmp", "yahoo"})
    assert found.pages.url == "http://127.0.0.1:6066"


@pytest.mark.parametrize(("sandbox_url", "providers"), [(None, {"yahoo"}), ("http://127.0.0.1:3", set(EVERYBODY))])
def test_a_tree_that_runs_comes_before_the_broker_of_the_settings(tmp_path, sandbox_url, providers):
    run = ProcessTreeAddress(1, "kafka://127.0.0.1:1", "http://127.0.0.1:2", "t", sandbox_url)
    held = RunFile(tmp_path / "run.json").acquire()
    held.publish(asdict(run))

    found = discovery.find(settings.load(Path("none"), {"DATA_DIR": str(tmp_path), "KAFKA_URL": "kafka://there:1"}))

    assert (str(found.bootstrap), found.pages, found.providers) == ("127.0.0.1:1", run.pages, providers)
    held.release()


@pytest.mark.pipeline
async def test_a_broker_without_a_pipeline_is_told_in_one_line(embedded_broker):
    with pytest.raises(BrokerUnreachable, match=r"no pipeline has run on the broker at kafka://127\.0\.0\.1"):
        await fetch_ticker("AAPL", bootstrap=embedded_broker)


@pytest.mark.pipeline
async def test_a_text_is_no_list_of_symbols(embedded_broker):
    with pytest.raises(TypeError, match="symbols was the text 'AAPL': give a list of symbols"):
        await Client(embedded_broker).fetch_tickers("AAPL")


# -- the clock of the settings -----------------------------------------------------------------------------------------


async def deadline_of(client, bootstrap):
    """Deadline (ms UTC) of the request that a client submits for a quote; it waits for no answer."""
    async with client, tail(bootstrap, topics.POLL_URGENT) as consumer:
        asking = asyncio.ensure_future(client.get_quotes(["AAPL"], providers=["yahoo"], timeout_s=60))
        record = await anext(follow(consumer, bootstrap))
        asking.cancel()
        return PollRequest.decode(record.value).deadline


@pytest.mark.pipeline
async def test_clients_with_different_clocks_do_not_disturb_each_other(embedded_broker, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    await ensure_topics(embedded_broker, topics.SPECS)
    real = Client(embedded_broker)
    monkeypatch.setenv("CLOCK_RATE", "8766")  # a year passes in an hour
    monkeypatch.setenv("CLOCK_ANCHOR", str(SYSTEM.now_ms() - 3_600_000))
    hurried, scheduler = Client(embedded_broker), SchedulerClient()

    ahead = await deadline_of(hurried, embedded_broker)
    of_today = await deadline_of(real, embedded_broker)

    assert (ahead - of_today) // DAY >= 360
    assert not scheduler.own
