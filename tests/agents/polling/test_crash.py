"""A process may be killed between any two steps: whatever was begun is done again, and every request still ends."""

from types import SimpleNamespace

import pytest

from connectors import Call
from sandbox import Fault
from streams.messaging import topics
from streams.messaging.job import Job
from streams.messaging.mailbox import post
from streams.messaging.messages import PollDone, PollRequest

QUOTES = Call(dataset="quote", symbols=("KO", "NOPE"))
DAILY = Call(dataset="bars", symbols=("KO",), interval="1d", start=1_751_328_000_000, end=1_753_056_000_000)


class Killed(BaseException):
    """The end of the process: nothing catches it."""


class Pipeline:
    """Poller and normalizer over a broker that keeps records until they are acknowledged; killed at the nth send."""

    def __init__(self, scene, killed_at):
        self.scene, self.left = scene, killed_at
        self.records, self.acknowledged = scene.outbox.sent, set()
        self.send, scene.outbox.send = scene.outbox.send, self.dying

    async def dying(self, topic, value, **more):
        self.left -= 1
        if self.left == 0:
            raise Killed
        await self.send(topic, value, **more)

    async def run(self, request):
        """Handle everything that any mailbox holds, from the first on, as often as the process is killed."""
        await post(SimpleNamespace(send=self.send), request)
        while (number := self.first()) is not None:
            try:
                await self.handle(self.records[number])
            except Killed:
                continue  # the next process begins with what is not acknowledged
            self.acknowledged.add(number)

    def first(self):
        work = {*topics.POLLS, topics.RAW_RESPONSES}
        return next(
            (n for n, record in enumerate(self.records) if record.topic in work and n not in self.acknowledged), None
        )

    async def handle(self, record):
        message = SimpleNamespace(topic=record.topic, partition=0, offset=0)
        event = SimpleNamespace(message=message, value=record.value, headers=record.headers or {})
        if record.topic == topics.RAW_RESPONSES:
            event.headers = list(record.headers.items())
            await self.scene.normalizer.handle(event)
            return
        while (parked := await self.scene.poller.handle(event)) is not None:
            await parked


@pytest.mark.parametrize("fault", [None, "broken_json", "status"])
@pytest.mark.parametrize("call", [QUOTES, DAILY], ids=lambda call: call.dataset)
async def test_a_kill_at_any_send_leaves_no_request_without_its_end(scene, sandbox, call, fault):
    if fault:
        sandbox.misbehave(Fault(fault, provider="polygon"))
    make, number, sent = scene, 0, None
    while sent is None or number <= sent:
        found = Pipeline(make(retries=1), number)
        request = PollRequest(request_id="j-0", job_id="j", call=call, slip=("polygon", "yahoo"))

        await found.run(request)

        job = Job("j", 1)
        for report in found.scene.outbox.read(topics.POLL_DONE, PollDone):
            job.note(report)
        posted = {child.request_id for child in found.scene.outbox.children}
        assert job.finished, f"killed at send {number}"
        assert set(job.done) <= posted, "only what was asked is reported"
        served = [report.records for report in job.done.values() if report.outcome == "records"]
        assert sum(served) > 0
        assert found.scene.outbox.to(topics.MARKET[call.dataset])
        sent = sent or len(found.records)
        number += 1
    assert number > 6
