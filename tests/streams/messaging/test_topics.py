"""Workers share the providers: the mailboxes lie so that Faust's assignor gives each worker some of them."""

import pytest
from faust.assignor.client_assignment import CopartitionedAssignment
from faust.assignor.copartitioned_assignor import CopartitionedAssignor

from connectors import connectors
from streams.messaging import topics


@pytest.mark.parametrize("workers", [2, 3, 4])
def test_workers_that_join_one_after_another_share_the_providers(workers):
    held = {}
    for number in range(workers):
        held[str(number)] = CopartitionedAssignment(set(), set(), {topics.POLL_REQUESTS})
        CopartitionedAssignor({topics.POLL_REQUESTS}, held, topics.MAILBOXES, replicas=0).get_assignment()

    served = [sum(topics.mailbox(name) in worker.actives for name in connectors()) for worker in held.values()]
    assert sum(served) == len(connectors())
    assert min(served) >= 1
    assert max(served) <= len(connectors()) / 2
