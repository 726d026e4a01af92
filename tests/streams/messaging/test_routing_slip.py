"""What becomes of a request that a provider does not serve: every path ends, and asks nobody twice without a reason."""

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from connectors import Call
from streams.messaging.endings import Wait
from streams.messaging.messages import Hop, Page, PollRequest
from streams.messaging.routing_slip import PATIENCE_MS, after, decide, part

NOW = 1_717_406_123_000
DAILY = Call(dataset="bars", symbols=("AAPL",), interval="1d")
NAMES = ("polygon", "alpaca", "yahoo", "fmp")
FULL, DOWN = "QuotaExhausted", "ProviderUnavailable"


def request(*slip, **more):
    return PollRequest(request_id="j-0", job_id="j", call=DAILY, slip=slip or ("polygon",), **more)


def hop(provider="polygon", outcome=DOWN, reason="HTTP 503", free_at=None):
    return Hop(provider=provider, outcome=outcome, reason=reason, free_at=free_at)


@dataclass
class Walk:
    """A request on its way, asked as often as `say(provider, now)` gives a hop; None serves."""

    request: PollRequest
    say: object
    now: int = NOW

    def __post_init__(self):
        self.asked, self.reports, self.waits = [], [], 0

    def go(self):
        """Follow the request and its children to the end; gives the last report, or None when it was served."""
        while True:
            if self.request.not_before is not None:
                self.now = max(self.now, self.request.not_before)
            if self.request.deadline is not None and self.now >= self.request.deadline:
                return "Expired"
            said = self.say(self.request.provider, self.now)
            self.asked.append((self.request.provider, self.now))
            if said is None:
                return None
            step = decide(self.request, said, self.now)
            if isinstance(step, Wait):
                assert step.until > self.now
                self.now = step.until
                self.waits += 1
                continue
            self.reports.append(step)
            if not step.children:
                return step.outcome
            (self.request,) = step.children


WHEN = st.integers(1, 3 * 24 * 3_600_000)
SAYINGS = st.one_of(st.just("refuse"), st.just("serve"), WHEN)


@given(
    slip=st.lists(st.sampled_from(NAMES), min_size=1, max_size=4, unique=True),
    sayings=st.lists(SAYINGS, max_size=12),
    urgent=st.booleans(),
    deadline=st.none() | st.integers(1, 4 * 24 * 3_600_000),
)
def test_every_path_ends_and_asks_a_provider_again_only_when_it_has_room(slip, sayings, urgent, deadline):
    left, free = list(sayings), {}

    def say(provider, now):
        assert provider not in free or free[provider] is not None, "it has refused"
        assert now >= free.get(provider, now), "it has no room yet"
        saying = left.pop(0) if left else "refuse"
        if saying == "serve":
            return None
        free[provider] = None if saying == "refuse" else now + saying
        return hop(provider, DOWN if saying == "refuse" else FULL, free_at=free[provider])

    limit = None if deadline is None else NOW + deadline
    walk = Walk(request(*slip, urgent=urgent, deadline=limit), say)

    ended = walk.go()

    assert len(walk.asked) <= len(slip) + len(sayings)
    assert all(limit is None or at < limit for _, at in walk.asked)
    if ended is not None and limit is None:
        assert {name for name, _ in walk.asked} == set(slip)
    if urgent:
        assert walk.waits == 0, "what a person waits for is told by a report"
        assert all(later - at <= PATIENCE_MS for (_, at), (_, later) in zip(walk.asked, walk.asked[1:], strict=False))


def test_the_next_provider_is_asked_for_the_whole_and_knows_who_was():
    page = Page(endpoint="bars", path="/next")

    end = decide(request("polygon", "yahoo", page=page), hop(), NOW)

    (child,) = end.children
    assert (end.outcome, end.reason) == (DOWN, "HTTP 503")
    assert (child.request_id, child.slip, child.page, child.tried) == ("j-0/0", ("yahoo",), None, (hop(),))


def test_when_all_refuse_the_last_one_s_words_are_the_end():
    before = hop("alpaca", "UnknownSymbol", "no such thing")

    end = decide(request(tried=(before,)), hop(), NOW)

    assert (end.outcome, end.reason, end.children) == (DOWN, "HTTP 503", ())
    assert end.request.tried == (before, hop())


def test_bulk_waits_at_the_last_provider_when_that_has_room_first():
    tomorrow = NOW + 86_400_000

    assert decide(request(), hop(outcome=FULL, free_at=tomorrow), NOW) == Wait(tomorrow)


def test_bulk_goes_back_to_whoever_has_room_first_and_waits_there():
    other = hop("yahoo", "Busy", free_at=NOW + 5_000)

    end = decide(request(tried=(other,)), hop(outcome=FULL, free_at=NOW + 9_000), NOW)

    (child,) = end.children
    assert (end.outcome, child.slip, child.not_before) == (FULL, ("yahoo",), NOW + 5_000)


def test_a_person_s_short_wait_is_told_and_keeps_the_page():
    page = Page(endpoint="bars", path="/next")

    end = decide(request(urgent=True, page=page), hop(outcome="Busy", free_at=NOW + 12_000), NOW)

    (child,) = end.children
    assert (end.outcome, child.slip, child.not_before, child.page) == ("Busy", ("polygon",), NOW + 12_000, page)


def test_a_person_does_not_wait_for_tomorrow():
    full = hop(outcome=FULL, reason="no call left", free_at=NOW + PATIENCE_MS + 1)
    unpaid = hop("brightdata", "BudgetExhausted", "no money left", free_at=NOW + 2 * PATIENCE_MS)

    alone = decide(request(urgent=True), full, NOW)
    behind = decide(request("yahoo", urgent=True, tried=(unpaid,)), hop("yahoo"), NOW)

    assert (alone.outcome, alone.reason, alone.children) == (FULL, "no call left; nobody has room before that", ())
    assert (behind.outcome, behind.children) == ("BudgetExhausted", ())
    assert [known.provider for known in behind.request.tried] == ["brightdata", "yahoo"]


def test_nobody_waits_beyond_the_deadline():
    full = hop(outcome=FULL, reason="no call left", free_at=NOW + 5_000)

    bulk = decide(request(deadline=NOW + 5_000), full, NOW)
    person = decide(request(deadline=NOW + 5_000, urgent=True), full, NOW)

    assert (bulk.outcome, person.outcome) == ("Expired", FULL)
    assert bulk.reason == person.reason == "no call left; nobody has room before the deadline"


def test_the_last_word_of_a_provider_counts():
    said = (hop("yahoo", "Busy", free_at=NOW + 1), hop("yahoo", "UnknownSymbol"))

    end = decide(request(tried=said), hop(), NOW)

    assert (end.outcome, end.children) == (DOWN, ())
    assert after(request(tried=said), hop()) == (said[1], hop())


def test_a_part_that_an_answer_lacks_goes_to_the_next_provider_if_there_is_one():
    lacking = hop(outcome="UnknownSymbol")
    call = Call(dataset="bars", symbols=("ZZZZ",), interval="1d")

    (child,) = part(request("polygon", "yahoo"), lacking, call, ("yahoo",), 1)

    assert (child.request_id, child.call, child.slip, child.tried) == ("j-0/1", call, ("yahoo",), (lacking,))
    assert part(request(), lacking, call, (), 1) == ()
