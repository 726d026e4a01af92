"""The worker's pages: each client asks one question at a time, and is told when it asks too many."""

import asyncio

import pytest
from aiohttp.web import HTTPTooManyRequests

from agents.monitor import WAITING, OnePerClient
from tests.waiting import ending


async def test_the_questions_of_a_client_are_answered_one_after_another_and_beside_those_of_others():
    questions = OnePerClient()
    under_way, most, done = {}, {}, []
    may_end = asyncio.Event()

    async def ask(client):
        async with questions.turn(client):
            under_way[client] = under_way.get(client, 0) + 1
            most[client] = max(most.get(client, 0), under_way[client])
            if len(most) == 2:
                may_end.set()  # both clients have one under way
            await may_end.wait()
            under_way[client] -= 1
            done.append(client)

    await ending(asyncio.gather(*(ask(client) for client in "aaabbb")), "the questions of both clients")

    assert most == {"a": 1, "b": 1}
    assert sorted(done) == list("aaabbb")


async def test_a_client_that_asks_too_many_is_refused_and_a_failure_frees_its_place():
    questions = OnePerClient()
    held = asyncio.Event()

    async def ask(client):
        async with questions.turn(client):
            await held.wait()
            raise RuntimeError("the store is away")

    asking = [asyncio.ensure_future(ask("a")) for _ in range(WAITING + 1)]
    await asyncio.sleep(0)
    with pytest.raises(HTTPTooManyRequests):
        await ask("a")
    async with questions.turn("b"):
        held.set()

    assert all(isinstance(error, RuntimeError) for error in await asyncio.gather(*asking, return_exceptions=True))
    async with questions.turn("a"):
        pass
