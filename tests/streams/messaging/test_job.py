"""When a job has ended: whatever the order of its reports, and however often a crash lets a request be handled."""

from hypothesis import given
from hypothesis import strategies as st

from connectors import Call
from streams.messaging.job import Job, requests_for
from streams.messaging.messages import Child, Hop, PollDone

CALL = Call(dataset="quote", symbols=("AAPL",))


def report(request, outcome="records", *children):
    return PollDone.of(request, outcome, 1, map(Child.of, children))


@st.composite
def trees(draw):
    """Requests of one job, and the reports of all that they caused; some requests were handled twice, otherwise."""
    requests = requests_for([(CALL, ("polygon", "yahoo"))] * draw(st.integers(1, 3)))
    told = []

    def end(request, depth):
        for _ in range(draw(st.integers(1, 2))):
            numbers = draw(st.sets(st.integers(0, 3), max_size=2)) if depth < 3 else ()
            children = [request.child(number) for number in sorted(numbers)]
            told.append(report(request, draw(st.sampled_from(["records", "Open"])), *children))
            for child in children:
                end(child, depth + 1)

    for request in requests:
        end(request, 0)
    return requests, told


@given(trees(), st.data())
def test_a_job_has_ended_when_all_that_is_named_has(tree, data):
    requests, told = tree
    job = Job(requests[0].job_id, len(requests))
    first = {}

    for found in data.draw(st.permutations(told)):
        known = found.request_id in first
        first.setdefault(found.request_id, found)
        assert job.note(found) is not known

    assert job.finished
    assert job.done == first
    assert job.total == len({found.request_id for found in told})


@given(trees(), st.data())
def test_it_has_not_ended_while_a_named_child_or_a_root_is_missing(tree, data):
    requests, told = tree
    job = Job(requests[0].job_id, len(requests))
    missing = data.draw(st.sampled_from([found.request_id for found in told]))

    for found in data.draw(st.permutations(told)):
        if found.request_id != missing:
            job.note(found)

    named = {name for found in told if found.request_id != missing for name in found.child_ids()}
    assert job.finished == (missing not in named | {request.request_id for request in requests})


def test_a_request_served_once_and_passed_on_once_ends_with_the_child_of_the_second():
    (request,) = requests_for([(CALL, ("polygon", "yahoo"))])
    child = request.child(0, slip=("yahoo",))
    job = Job(request.job_id, 1)

    assert job.note(report(child))
    assert not job.finished
    assert job.note(report(request))
    assert job.finished
    assert not job.note(report(request, "Open", child))
    assert job.finished
    assert job.failures == []


def test_another_job_s_report_is_none():
    (request,), (other,) = requests_for([(CALL, ("polygon",))]), requests_for([(CALL, ("polygon",))])
    job = Job(request.job_id, 1)

    assert not job.note(report(other, "records", other.child(0)))
    assert job.total == 1


def test_a_count_of_children_stands_for_the_first_ones():
    (request,) = requests_for([(CALL, ("polygon",))])
    told = {**report(request).model_dump(), "children": 2}

    assert list(PollDone.model_validate(told).child_ids()) == [f"{request.request_id}/0", f"{request.request_id}/1"]


def test_a_beginning_that_nobody_has_is_a_failure_only_where_nothing_else_came():
    bars = Call(dataset="bars", symbols=("AAPL",), interval="1d")
    (request,) = requests_for([(bars, ("polygon", "yahoo"))])
    lacking = Hop(provider="polygon", outcome="NoRecords", reason="it has no 1d bars before 2003-01-01")
    earlier = request.child(3, slip=("yahoo",), tried=(lacking,))

    for records, failures in ((250, []), (0, [earlier.request_id])):
        job = Job(request.job_id, 1)
        job.note(report(request, "records", earlier).model_copy(update={"records": records}))
        job.note(report(earlier, "UnknownSymbol"))
        assert [failure.request_id for failure in job.failures] == failures


def test_the_first_bar_of_a_job_is_the_first_of_any_request():
    (request,) = requests_for([(CALL, ("polygon", "yahoo"))])
    job = Job(request.job_id, 1)
    for number, first in enumerate((7, 3, 5)):
        told = report(request.child(number)).model_copy(update={"first_bars": {"AAPL": first}})
        job.note(told)

    assert job.first_bars == {"AAPL": 3}
