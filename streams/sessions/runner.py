"""Conducts a session to its end: folder, pipeline and run, and what is kept whatever happens."""

from __future__ import annotations

import asyncio

from infra.settings import Settings
from streams.errors import NothingToCollect
from streams.messaging.requester import Requester
from streams.runtime.pipeline import Pipeline
from streams.sessions.folder import Folder
from streams.sessions.log import SessionLog
from streams.sessions.recorder import SessionRecorder
from streams.sessions.run import Run
from streams.sessions.state import RUNNING, Failed, Interrupted, Session


async def conduct(
    folder: Folder, settings: Settings, log: SessionLog, leaving: asyncio.Event, *, sandbox: bool = False
) -> Session:
    """Run a session until it has ended, or until `leaving` is set: then it can be resumed. Returns its last state.

    The pipeline that runs already is used, or one is started. Checkpoint and summary are written whatever happens.

    Raises:
        SessionBusy: another process runs it.
        CheckpointRefused: it has no checkpoint that can be used.
        NothingToCollect: no source has a key, or sells what is wanted.
        BrokerUnreachable, ChildFailed, PartEnded, PipelineGone, PortBusy: there is no pipeline, or it has ended.
        StoreError: the store is a server that does not answer.
    """
    with folder.owning():
        recorder = SessionRecorder(folder, log, settings.clock)
        try:
            await _conduct(recorder, settings, leaving, sandbox=sandbox)
        except NothingToCollect as error:
            recorder.apply(Failed(type(error).__name__))
            raise
        except BaseException:
            if recorder.session.state in RUNNING:
                recorder.apply(Interrupted())
            raise
        finally:
            recorder.close()
    return recorder.session


async def _conduct(recorder: SessionRecorder, settings: Settings, leaving: asyncio.Event, *, sandbox: bool) -> None:
    pipeline = Pipeline(settings, sandbox=sandbox)
    starting = asyncio.ensure_future(pipeline.__aenter__())
    left = asyncio.ensure_future(leaving.wait())
    await asyncio.wait({starting, left}, return_when=asyncio.FIRST_COMPLETED)
    if not starting.done():
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        return
    left.cancel()
    await starting
    try:
        async with Requester(pipeline.bootstrap) as requester:
            await Run(recorder, pipeline, requester, leaving, settings.http_timeout_s).run()
        recorder.close()  # the rest of the tree may take its time to stop
    finally:
        await pipeline.__aexit__()
