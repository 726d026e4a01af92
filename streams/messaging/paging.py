"""How far a request is paged. Pure.

A provider decides what the next page is, and so whether there is an end. Two rules make one. A page is never asked
twice: the marks of the latest pages travel with the request, so a cursor that stands still, or comes around, is known
at once. And an endpoint declares how many pages an answer has at most, which ends cursors that are always new.
"""

from __future__ import annotations

from hashlib import blake2b

import orjson

from connectors import Request
from infra.errors import TapestreamError
from streams.messaging.messages import Page

REMEMBERED = 64
"""Marks that travel, 1.2 kB: the longest way around that is known as one. `most` ends a longer one."""


class LastPage(TapestreamError):
    """The following page is not asked; the message says why."""


def next_page(asked: Page, following: Request, most: int) -> Page:
    """Return the page behind the one that was `asked`, of at most `most`. Raises `LastPage`."""
    found = Page.of(following)
    seen = (*asked.seen, _mark(asked))
    if (mark := _mark(found)) in seen:
        raise LastPage(f"next page: it was asked before, {len(seen) - seen.index(mark)} pages back")
    if asked.number + 1 >= most:
        raise LastPage(f"next page: an answer of {found.endpoint} has {most} pages at most")
    return found.model_copy(update={"number": asked.number + 1, "seen": seen[-REMEMBERED:]})


def next_look(asked: Page, poll: Request, most: int, call_id: str) -> Page:
    """Return the next look at what is not ready, which may be the same as the last one. Raises `LastPage`.

    `call_id` is the id of the call that `asked`: the first one triggered the job.
    """
    if asked.number + 1 >= most:
        raise LastPage(f"it was looked at {most} times")
    known = {"number": asked.number + 1, "triggered_by": asked.triggered_by or call_id}
    return Page.of(poll).model_copy(update=known)


def _mark(page: Page) -> str:
    parts = [page.endpoint, page.method, page.path, sorted(page.params.items()), page.body]
    return blake2b(orjson.dumps(parts), digest_size=8).hexdigest()
