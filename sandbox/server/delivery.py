"""Between HTTP and the vocabulary: a request becomes a `Call`, a `Reply` goes out, well or ill."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import orjson
from aiohttp import web

from sandbox.server.provider import Call, Reply

if TYPE_CHECKING:
    from datetime import datetime

    from sandbox.market.market import Market
    from sandbox.server.faults import Fault

GATEWAY_PAGE = "<html><head><title>{status}</title></head><body><center><h1>{status}</h1></center></body></html>"


async def receive(request: web.Request, provider: str, now: datetime, market: Market) -> Call:
    """The request as a handler sees it."""
    return Call(
        method=request.method,
        url_path=request.path.removeprefix(f"/{provider}"),
        path=dict(request.match_info),
        query={name: request.query.getone(name) for name in request.query},
        headers=request.headers,
        cookies=request.cookies,
        client=request.remote or "",
        body=await request.read(),
        base_url=f"{request.url.origin()}/{provider}",
        now=now,
        market=market,
    )


async def send(request: web.Request, reply: Reply, fault: Fault | None, stopping: asyncio.Event) -> web.StreamResponse:
    """Send the reply, or what the fault makes of it."""
    body, headers, status = encoded(reply.body, fault), dict(reply.headers), reply.status
    match fault.kind if fault else None:
        case "latency":
            assert fault
            await asyncio.sleep(fault.delay_s)
        case "hang":
            await stopping.wait()
            return _dropped(request)
        case "close":
            return _dropped(request)
        case "cut_body":
            return await _cut(request, reply, body)
        case "broken_json":
            body = body[: len(body) // 2]
        case "empty_body":
            body, status = b"", 200
        case "status":
            assert fault
            page = GATEWAY_PAGE.format(status=fault.status)
            return web.Response(text=page, status=fault.status, content_type="text/html")
        case "rate_limit":
            assert fault
            headers |= {"Retry-After": str(fault.retry_after_s)} if fault.retry_after_s is not None else {}
    headers["Content-Type"] = reply.content_type
    response = web.Response(body=body, status=status, headers=headers)
    for name, value in reply.cookies.items():
        response.set_cookie(name, value)
    return response


def encoded(body: object, fault: Fault | None) -> bytes:
    """The body's bytes. A falsified NaN goes out as `NaN` (which is no JSON) or as the text `"None"`."""
    if isinstance(body, bytes):
        return body
    falsified = fault is not None and fault.kind in ("nan_price", "none_price")
    if isinstance(body, str):
        return (body.replace("nan", "None") if falsified else body).encode()
    if not falsified:
        return orjson.dumps(body)
    text = json.dumps(body, separators=(",", ":"))
    return (text.replace("NaN", '"None"') if fault and fault.kind == "none_price" else text).encode()


def _dropped(request: web.Request) -> web.Response:
    if request.transport:
        request.transport.abort()
    return web.Response()


async def _cut(request: web.Request, reply: Reply, body: bytes) -> web.StreamResponse:
    response = web.StreamResponse(status=reply.status, headers={"Content-Type": reply.content_type})
    response.content_length = max(2, len(body))
    await response.prepare(request)
    await response.write(body[: len(body) // 2])
    if request.transport:
        request.transport.close()  # lets the half go out before the connection ends
    return response
