"""The vocabulary of outcomes: it holds every refusal, its sets fit together, and the old word is still read."""

import pytest
from pydantic import ValidationError

from connectors import REFUSALS, Call, Outcome
from streams.accounts.breaker import HEALTH
from streams.messaging.messages import PollDone
from streams.messaging.outcomes import CONCLUSIVE, ENDED_WELL, RETRYABLE, PollOutcome
from streams.sessions.in_flight import WORTH_ANOTHER_TRY

CALL = Call(dataset="quote", symbols=("AAPL",))


def done(outcome):
    return PollDone(request_id="j-0", job_id="j", provider="yahoo", call=CALL, outcome=outcome, at=1)


def test_every_outcome_of_a_call_is_an_outcome_of_a_poll():
    outcomes = [Outcome(), *(Outcome(refusal=refusal("why")) for refusal in REFUSALS.values())]

    assert {PollOutcome(outcome.name) for outcome in outcomes} == {"records", *REFUSALS}
    assert set(PollOutcome) >= HEALTH


def test_no_outcome_both_ends_a_request_for_good_and_asks_for_another_attempt():
    assert RETRYABLE.isdisjoint(ENDED_WELL | CONCLUSIVE)
    assert WORTH_ANOTHER_TRY.isdisjoint(ENDED_WELL | CONCLUSIVE)


@pytest.mark.parametrize("outcome", list(PollOutcome))
def test_an_outcome_is_written_as_its_word_and_read_again(outcome):
    report = done(outcome)

    assert f'"outcome":"{outcome.value}"'.encode() in report.encode()
    assert PollDone.decode(report.encode()) == report


def test_the_word_of_earlier_versions_for_a_cancelled_request_is_read():
    old = done(PollOutcome.CANCELLED).encode().replace(b"Cancelled", b"Withdrawn")

    assert PollDone.decode(old).outcome is PollOutcome.CANCELLED


def test_an_unknown_outcome_is_refused():
    with pytest.raises(ValidationError, match="outcome"):
        PollDone.decode(done(PollOutcome.FAULT).encode().replace(b"Fault", b"Whatever"))
