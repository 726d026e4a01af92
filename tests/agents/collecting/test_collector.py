"""Runs of collectors over the real store and the real planner; only the pollers and the clock are played."""

import asyncio
import json
from dataclasses import replace
from types import SimpleNamespace

import pytest

from agents.collecting.run_submitter import UNDER_WAY
from connectors import connectors
from streams.collecting.model import Universe
from streams.messaging import topics
from tests.waiting import until

DAY = 86_400_000


async def test_a_run_asks_for_what_is_missing_and_reports_what_came_of_it(stage):
    run = await stage.run("prices")

    assert stage.pollers.asked() == ["AAPL", "IBM", "MSFT"]
    assert {poll.slip[0] for poll in stage.pollers.polls} == {"finnhub"}
    assert not any(poll.urgent for poll in stage.pollers.polls)
    assert (run.state, run.reason, run.attempts, run.units, run.records) == ("done", "", 1, 3, 6)
    assert run.rss_mb_peak > 10
    assert run.cpu_s >= 0


async def test_the_next_run_repeats_nothing_that_is_stored_unless_all_is_wanted_anew(stage):
    await stage.run("prices")
    asked = len(stage.pollers.polls)

    again = await stage.run("prices", "run-2", due_at=stage.monday + 3_600_000)

    assert (len(stage.pollers.polls), again.state, again.reason) == (asked, "done", "nothing was missing")

    full = await stage.run("prices", "run-3", due_at=stage.monday + 3_600_000, refresh="full")

    assert (len(stage.pollers.polls), full.units) == (2 * asked, 3)


async def test_calls_are_counted_from_what_the_store_knows_of_this_run(stage):
    stage.pollers.held = []
    task = stage.begin("prices")
    await until(lambda: len(stage.pollers.held) == 3, "three requests under way")
    ids = [f"{poll.request_id}/0" for poll in stage.pollers.held]
    await stage.insert(
        "api_calls",
        **{"call_id": ["1", "2", "3", "4"], "request_id": [*ids, "another-0"], "provider": ["finnhub"] * 4},
        **{"endpoint": ["e"] * 4, "dataset": ["bars"] * 4, "asset_class": ["equity"] * 4, "symbols": [["A"]] * 4},
        **{"started_at": [stage.monday] * 4, "latency_ms": [1.0] * 4, "outcome": ["Reserved"] * 4, "bytes": [1] * 4},
        **{"cost_calls": [1.0] * 4, "cost_usd": [0.0] * 4},
    )
    for poll in stage.pollers.held:
        await stage.pollers.end(poll)
    await task

    assert stage.pollers.runs[-1].calls == 3


async def test_however_much_is_wanted_few_requests_are_under_way_at_once(stage):
    symbols = [f"A{chr(65 + n // 26)}{chr(65 + n % 26)}" for n in range(300)]
    await stage.know(*symbols)
    stage.pollers.stores = False

    run = await stage.run("chosen")

    assert (run.state, run.units, run.records) == ("done", 300, 600)
    assert stage.pollers.asked() == symbols
    stage.pollers.polls.clear()
    stage.pollers.held = []
    stage.begin("chosen", "run-2", refresh="full")
    await until(lambda: len(stage.pollers.held) == UNDER_WAY, "all places to be taken")
    for poll in stage.pollers.held[:10]:
        await stage.pollers.end(poll)
    await until(lambda: len(stage.pollers.held) == UNDER_WAY + 10, "the places to be taken anew")
    assert stage.pollers.most["finnhub"] == UNDER_WAY


async def test_what_failed_for_a_passing_reason_is_tried_again_alone_and_what_did_not_is_told(stage):
    down = {"AAPL"}
    outcomes = {"IBM": "UnknownSymbol"}
    stage.pollers.answer = lambda request: (
        "ProviderUnavailable" if request.call.symbols[0] in down else outcomes.get(request.call.symbols[0], "records")
    )
    task = stage.begin("prices")
    await until(lambda: 45_000 in stage.time.asleep(), "the rest")  # of 60 s, by the chance of one half

    down.clear()
    stage.time.pass_ms(45_000)
    await task

    run = stage.pollers.runs[-1]
    assert stage.pollers.asked() == ["AAPL", "AAPL", "IBM", "MSFT"]
    assert (run.state, run.attempts, run.units, run.records) == ("done", 2, 3, 4)
    assert run.errors == {"UnknownSymbol": 1}
    assert "IBM: UnknownSymbol" in run.reason


async def test_a_run_fails_when_the_last_try_leaves_more_than_a_tenth_unserved(stage):
    stage.pollers.answer = lambda request: "records" if request.call.symbols[0] == "IBM" else "ProviderUnavailable"
    task = stage.begin("prices")
    for delay in (45_000, 90_000):
        await until(lambda delay=delay: delay in stage.time.asleep(), f"a rest of {delay} ms")
        stage.time.pass_ms(delay)
    await task

    run = stage.pollers.runs[-1]
    assert (run.state, run.attempts, run.errors) == ("failed", 3, {"ProviderUnavailable": 2})


async def test_lists_are_asked_of_everybody_who_has_a_key_and_one_that_is_away_holds_up_nobody(store, stage_of):
    keys = {"FINNHUB_KEYS": "one", "EODHD_KEYS": "two", "FMP_KEYS": "three"}
    stage = await stage_of(store, **keys)
    stage.pollers.answer = lambda request: "ProviderUnavailable" if request.slip[0] == "eodhd" else "records"
    task = stage.begin("stocks")
    for delay in (45_000, 90_000):
        await until(lambda delay=delay: delay in stage.time.asleep(), f"a rest of {delay} ms")
        stage.time.pass_ms(delay)
    await task

    (run,) = stage.pollers.runs
    assert (run.state, run.attempts, run.errors) == ("done", 3, {"ProviderUnavailable": 1})
    first = stage.pollers.polls[:3]
    assert {poll.slip for poll in first} == {("finnhub",), ("eodhd",), ("fmp",)}
    assert {poll.deadline for poll in first} == {stage.monday + 3_600_000}


async def test_a_run_of_which_nothing_comes_fails(stage):
    stage.pollers.answer = lambda request: "UnknownSymbol"

    run = await stage.run("prices")

    assert (run.state, run.attempts, run.errors) == ("failed", 1, {"UnknownSymbol": 3})


async def test_what_nobody_can_serve_is_told_as_unavailable(stage):
    alone = {name: replace(each, providers=("polygon",)) for name, each in stage.declared.items()}
    stage.declared = alone
    stage.collector = stage.another()
    await stage.collector.remember()

    run = await stage.run("prices")

    assert (run.state, run.units, run.errors) == ("failed", 0, {"Unavailable": 3})
    assert "polygon: no key, set POLYGON_KEYS" in run.reason


async def test_a_run_that_was_cut_off_goes_on_where_it_stood_even_when_all_was_wanted_anew(stage):
    stage.pollers.held = []
    cut = stage.begin("prices", refresh="full")
    await until(lambda: len(stage.pollers.held) == 3, "three requests under way")
    served = stage.pollers.held[0]
    await stage.pollers.end(served)
    cut.cancel()
    await asyncio.gather(cut, return_exceptions=True)
    assert stage.pollers.runs == []

    assert stage.pollers.withdrawn == {}
    stage.collector, stage.pollers.held = stage.another(), None
    stage.time.pass_ms(1)
    await stage.collector.remember()
    stage.pollers.polls.clear()
    run = await stage.run("prices", refresh="full")

    assert (run.state, run.units) == ("done", 2)
    assert served.call.symbols[0] not in stage.pollers.asked()
    # what the first one still had in the mailboxes is taken back
    (job,) = {poll.job_id for poll in stage.pollers.polls}
    assert {each.kept for each in stage.pollers.withdrawn.values()} == {job}
    assert {each.work for each in stage.pollers.withdrawn.values()} == {"run-1"}
    assert stage.pollers.withdrawn.keys() == {topics.mailbox(name) for name in connectors()}


async def test_what_has_no_range_is_asked_of_those_only_who_have_not_answered_this_run(store, stage_of):
    stage = await stage_of(store, "stocks", "prices")
    await stage.know("AAPL", "IBM")
    stage.pollers.answer = lambda request: "records" if request.call.symbols[0] == "IBM" else "UnknownSymbol"
    await stage.run("profiles", "run-1")
    await stage.run("profiles", "run-2")
    assert stage.pollers.asked() == ["AAPL", "AAPL", "IBM"]

    await stage.run("profiles", "run-3", due_at=stage.monday + DAY)

    assert stage.pollers.asked() == ["AAPL", "AAPL", "AAPL", "IBM", "IBM"]


async def test_what_users_added_and_removed_holds_at_the_next_run(stage):
    await stage.know("AAPL", "IBM", exchange="XNAS")
    await stage.insert(
        "universe_changes",
        symbol=["TSM", "IBM", "QQQ"],
        asset_class=["equity", "equity", "etf"],
        change=["add", "remove", "add"],
        at=[stage.monday] * 3,
    )

    await stage.run("prices")
    assert stage.pollers.asked() == ["AAPL", "MSFT", "TSM"]

    stage.pollers.polls.clear()
    await stage.run("profiles", "run-2")
    assert stage.pollers.asked() == ["AAPL", "TSM"]

    stage.pollers.polls.clear()
    await stage.run("chosen", "run-3", refresh="full")
    assert stage.pollers.asked() == []  # AAPL's bars are stored since this moment, IBM was removed


async def test_an_empty_universe_and_a_wrong_condition_fail_with_their_reason(stage):
    empty = await stage.run("chosen")
    assert (empty.state, empty.reason[:22]) == ("failed", "its universe is empty:")

    wrongly = replace(stage.declared["chosen"], universe=Universe(where="no_such_column = 1"))
    stage.declared = {**stage.declared, "chosen": wrongly}
    stage.collector = stage.another()
    await stage.collector.remember()
    wrong = await stage.run("chosen", "run-2")
    assert wrong.state == "failed"
    assert "no_such_column" in wrong.reason


async def test_an_unknown_collector_is_answered_with_those_that_there_are(stage):
    run = await stage.run("price")

    assert run.state == "failed"
    assert run.reason.startswith("unknown collector 'price'; known: stocks")


async def test_a_request_that_cannot_be_read_is_a_dead_letter(stage):
    message = SimpleNamespace(topic=topics.COLLECT_REQUESTS, partition=0, offset=3)
    await stage.collector.handle(SimpleNamespace(value=b"{}", message=message))

    assert stage.pollers.letters[0].raw_offset == 3
    assert stage.pollers.runs == []


async def test_requests_that_never_end_do_not_hold_a_run_for_ever(stage):
    stage.pollers.held = []
    task = stage.begin("prices")
    await until(lambda: len(stage.pollers.held) == 3, "three requests under way")
    assert {poll.deadline for poll in stage.pollers.held} == {stage.monday + DAY}

    stage.time.pass_ms(DAY + 900_000)
    await task

    assert stage.pollers.runs[-1].state == "failed"
    assert "have not ended" in stage.pollers.runs[-1].reason


@pytest.mark.parametrize("name", ["due_at", "asked_at"])
@pytest.mark.parametrize("number", [-(10**19), 10**20, 10**400, float("nan")])
async def test_a_request_with_an_absurd_time_becomes_a_letter_and_the_next_one_runs(stage, name, number):
    event = stage.event("prices")
    spoilt = json.dumps({**json.loads(event.value), name: number}).encode()
    message = SimpleNamespace(topic=topics.COLLECT_REQUESTS, partition=0, offset=7)

    await stage.collector.handle(SimpleNamespace(value=spoilt, message=message))

    (letter,) = stage.pollers.letters
    assert (letter.stage, letter.raw_topic, letter.raw_offset) == ("message", topics.COLLECT_REQUESTS, 7)
    assert name in letter.reason
    assert (await stage.run("prices")).state == "done"


@pytest.mark.parametrize("due_at", [-62_135_596_800_000, 253_402_300_799_999])
async def test_a_run_that_is_due_at_an_end_of_the_calendar_is_reported(stage, due_at):
    run = await stage.run("prices", due_at=due_at)

    assert (run.due_at, len(stage.pollers.runs)) == (due_at, 1)
