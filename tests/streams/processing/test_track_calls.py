"""The tables fold every call once, whatever is read twice, and give the next owner the whole account."""

import json
from types import SimpleNamespace

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.records import YEAR_1, YEAR_9999
from streams.accounts import account as accounts
from streams.accounts.account import ProviderPolicy
from streams.accounts.budget import Allowance
from streams.accounts.quota import Window, used
from streams.messaging import topics
from streams.messaging.messages import OWNER_COMMAND, ApiCall, OwnerCommand
from streams.processing.track_calls import CallTracker

NOON = 1_780_000_000_000
DAY = Window(1_000, "day")
TERMS = {
    "polygon": ProviderPolicy(windows=(Window(50, "minute"), DAY)),
    "brightdata": ProviderPolicy(allowance=Allowance.usd(5.50)),
}


class Tables(dict):
    """Three tables, as Faust would give them back: through JSON."""

    def __init__(self):
        super().__init__({name: Table() for name in topics.TABLES})


class Table(dict):
    def __setitem__(self, key, value):
        super().__setitem__(key, orjson.loads(orjson.dumps(value)))


def told(n, provider="polygon", outcome=None, **more):
    """A call, or how it ended."""
    ended = {} if outcome is None else {"outcome": outcome, "ended_at": NOON + n + 50}
    return ApiCall(
        **{"call_id": f"call-{n}", "request_id": "r", "provider": provider, "key_label": f"{provider}#1"},
        **{"endpoint": "aggregates", "dataset": "bars", "asset_class": "equity", "symbols": ("KO",), "interval": "1d"},
        **{"started_at": NOON + n, **ended, **more},
    )


def record(offset, message, headers=None):
    return SimpleNamespace(value=message.encode(), headers=headers, offset=offset, partition=8)


def tracker(tables=None):
    orders = []
    found = CallTracker(tables or Tables(), TERMS, lambda order, account: orders.append((order, account)))
    return found, orders


calls = st.lists(st.tuples(st.integers(0, 5), st.sampled_from(["records", "RateLimited", "ProviderUnavailable"])))


@given(ends=calls, again=st.data())
def test_however_often_records_are_read_again_the_account_is_that_of_the_calls(ends, again):
    records, all_calls = [], []
    for n, (_, outcome) in enumerate(ends):
        for message in (told(n), told(n, outcome=outcome)):
            records.append(record(len(records), message))
        all_calls.append(told(n, outcome=outcome))
    tables = Tables()
    at = 0
    while at < len(records):  # a restart reads again from somewhere before
        found, _ = tracker(tables)
        stop = again.draw(st.integers(at + 1, len(records)))
        for one in records[again.draw(st.integers(0, at)) : stop]:
            found.handle(one)
        at = stop

    found, _ = tracker(tables)
    expected = accounts.Account()
    for one in records:
        call = ApiCall.decode(one.value)
        expected = accounts.fold(expected, accounts.ended(call) or accounts.began(call), TERMS["polygon"])
    assert found.account("polygon") == expected
    assert found.knows("polygon") is bool(ends)


def test_an_order_of_the_next_owner_comes_with_everything_told_before_it():
    found, orders = tracker()
    for offset in range(3):
        found.handle(record(offset, told(offset)))
    order = OwnerCommand(order="takeover", provider="polygon", order_id="mine", at=NOON + 500)

    found.handle(record(3, order, OWNER_COMMAND))

    ((got, account),) = orders
    assert got == order
    usage = account.keys["polygon#1"].usage
    assert (usage.in_flight, used(usage, DAY, NOON + 500)) == ((), 3)
    assert found.account("polygon") == account


def test_orders_are_told_apart_from_calls_also_where_headers_come_as_pairs():
    found, orders = tracker()
    order = OwnerCommand(order="reset_breaker", provider="polygon", order_id="x", at=NOON)

    found.handle(record(0, order, list(OWNER_COMMAND.items())))

    assert [got for got, _ in orders] == [order]
    assert not found.knows("polygon")


def test_a_breaker_is_closed_by_order():
    found, orders = tracker()
    for n in range(5):
        found.handle(record(2 * n, told(n)))
        found.handle(record(2 * n + 1, told(n, outcome="ProviderUnavailable")))
    assert found.account("polygon").breaker.state == "OPEN"

    found.handle(
        record(10, OwnerCommand(order="reset_breaker", provider="polygon", order_id="x", at=NOON), OWNER_COMMAND)
    )

    assert found.account("polygon").breaker.state == "CLOSED"
    assert orders[0][1].breaker.state == "CLOSED"


def test_money_is_kept_per_provider():
    found, _ = tracker()
    found.handle(record(0, told(0, provider="brightdata", cost_usd=0.0015)))
    found.handle(record(0, told(0)))

    assert found.account("brightdata").budget.micros == 1_500
    assert found.account("polygon").budget.micros == 0


def test_the_tables_know_what_a_job_gave_back_as_a_replay_does():
    found, _ = tracker()
    job = {"provider": "brightdata", "triggered_by": "call-0"}
    calls = [
        told(0, "brightdata", "Pending", cost_usd=0.075, reserved_usd=0.075),
        told(1_000, outcome="Pending", **job),
        told(2_000, outcome="records", **job, cost_usd=-0.072),
        told(3_000, outcome="records", **job, cost_usd=-0.072),
    ]
    for offset, one in enumerate(calls):
        found.handle(record(2 * offset, one.model_copy(update={"outcome": "Reserved", "ended_at": None})))
        found.handle(record(2 * offset + 1, one))

    assert found.account("brightdata").budget.micros == 3_000
    assert found.account("brightdata").budget == accounts.replayed(calls, TERMS["brightdata"]).budget


@pytest.mark.parametrize("value", [b"", b"{}", b"\xff", told(0, provider="nobody").encode()])
def test_what_is_no_call_of_a_known_provider_changes_nothing(value):
    tables = Tables()
    found, orders = tracker(tables)

    found.handle(SimpleNamespace(value=value, headers=None, offset=0, partition=8))

    assert (tables, orders) == (Tables(), [])


INTEGERS = ("started_at", "ended_at", "latency_ms", "status", "resets_at", "said_resets_at", "bytes")
FLOATS = ("retry_after_s", "said_left", "said_limit", "cost_calls", "cost_usd", "reserved_usd")


@given(
    name=st.sampled_from([*INTEGERS, *FLOATS]),
    number=st.integers() | st.floats() | st.sampled_from([10**20, -(10**19), 10**400, YEAR_1, YEAR_9999]),
    outcome=st.sampled_from([None, "records", "RateLimited", "QuotaExhausted", "ProviderUnavailable"]),
    provider=st.sampled_from(list(TERMS)),
)
def test_no_number_of_a_call_ends_the_fold_or_spoils_the_calls_behind_it(name, number, outcome, provider):
    tables = Tables()
    found, _ = tracker(tables)
    value = json.dumps({**orjson.loads(told(0, provider, outcome).encode()), name: number}).encode()

    found.handle(SimpleNamespace(value=value, headers=None, offset=0, partition=8))
    found.handle(record(1, told(1, provider)))
    found.handle(record(2, told(1, provider, "records")))

    account = tracker(tables)[0].account(provider)
    assert account.key(f"{provider}#1").statistics.calls in {1, 2}
    assert accounts.in_flight(account) <= {"call-0"}


def test_a_call_after_whose_end_no_calendar_has_a_day_is_left_out():
    tables = Tables()
    found, _ = tracker(tables)

    found.handle(record(0, told(0, outcome="QuotaExhausted").model_copy(update={"ended_at": YEAR_9999})))
    found.handle(record(1, told(1)))

    assert tracker(tables)[0].account("polygon").key("polygon#1").statistics.calls == 1
