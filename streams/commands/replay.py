"""`tapestream replay` and `tapestream raw export`: stored answers read again, and written down to be shared."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import click

from connectors import DATASETS, connector, connectors
from connectors.fields import utc_date
from infra.clickhouse.archive import OPEN_CALLS, Selection
from infra.clickhouse.queries import DATASET_TABLES
from infra.redaction import Redactor
from infra.settings import Settings
from streams.commands.console import fail, load_settings, moment, one_line_errors, say, say_json
from streams.errors import PipelineGone
from streams.messaging.producer import Outbox
from streams.processing.difference import Change
from streams.runtime import discovery
from streams.runtime.archive import AnswersOfFolder, StoredAnswers, write_file
from streams.runtime.query import asking
from streams.runtime.replay import LetterChange, Replay, Summary
from streams.runtime.stored import until_stored

STORED_S = 60.0
"""Seconds in which a worker stores what was republished; one that is away does so later."""
FOLDER = click.Path(path_type=Path, file_okay=False)
SIGNS = {"added": "+", "changed": "~", "gone": "-"}


def _filters(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that select answers."""
    for option in (
        click.option("--dead", is_flag=True, help="Only answers with open dead letters."),
        click.option("--since", help="Received at or after this: YYYY-MM-DD or an ISO time, UTC."),
        click.option("--symbols", "--symbol", multiple=True, help="Of a call for any of these; repeat, or commas."),
        click.option("--dataset", type=click.Choice(list(DATASETS)), help="Only answers to calls for it."),
        click.option("--provider", help="Only this provider's answers."),
    ):
        command = option(command)
    return command


@click.command()
@_filters
@click.option("--from", "folder", type=FOLDER, help="Read the files that `raw export` wrote, not the store's answers.")
@click.option("--dry-run", is_flag=True, help="Print the difference, row by row, and change nothing.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per difference, and one with the counts.")
@one_line_errors
def replay(*, folder: Path | None, dry_run: bool, as_json: bool, **given: Any) -> None:
    """Read stored answers again with today's connectors, and mend what is stored. No provider is called.

    \b
    tapestream replay --provider polygon --dataset bars --dry-run
    tapestream replay --dead
    tapestream replay --from answers/ --since 2026-11-01

    Rows that differ are published again, and dead letters that are understood by now are closed.
    """
    settings, selection = load_settings(), _selection(**given)
    if folder is not None and not folder.is_dir():
        fail(f"there is no folder {folder}", 2)
    asyncio.run(_replay(settings, selection, folder, dry_run=dry_run, as_json=as_json))


async def _replay(
    settings: Settings, selection: Selection, folder: Path | None, *, dry_run: bool, as_json: bool
) -> None:
    where = discovery.find(settings)
    if settings.embedded_store and not dry_run and not await where.pages.ready():
        raise PipelineGone(
            "no worker runs that would store what a replay publishes: start `tapestream up`, or use --dry-run"
        )
    show = _say_json if as_json else _say_line if dry_run else _say_nothing
    async with AsyncExitStack() as stack:
        ask = await stack.enter_async_context(asking(settings))
        outbox = None if dry_run else await stack.enter_async_context(Outbox(where.bootstrap))
        if folder is None:
            answers: StoredAnswers | AnswersOfFolder = StoredAnswers(ask, selection)
        else:
            dead = frozenset(row[0] for row in await ask(OPEN_CALLS)) if selection.dead else frozenset[str]()
            answers = AnswersOfFolder(folder, selection, dead)
        summary = await Replay(ask, outbox, show, settings.clock.now_ms).run(answers)
    if as_json:
        say_json({"answers": summary.answers, **_counts(summary), "skipped": dict(answers.skipped)})
    else:
        _say_summary(summary, answers.skipped, dry_run=dry_run)
    if not dry_run and summary.published:
        try:
            async with asyncio.timeout(STORED_S):
                await until_stored(where.bootstrap)
        except TimeoutError:
            say("published; no worker has stored all of it yet, the next that runs does", err=True)


def _selection(
    *, provider: str | None, dataset: str | None, symbols: tuple[str, ...], since: str | None, dead: bool
) -> Selection:
    if provider is not None:
        connector(provider)  # raises for one that is unknown
    wanted = tuple(symbol for part in symbols for symbol in part.split(",") if symbol)
    return Selection(provider, dataset, wanted, moment(since), dead)


def _counts(summary: Summary) -> dict[str, int]:
    rows = {name: summary.rows[name] for name in ("added", "changed", "gone", "refused")}
    return {**rows, **{f"letters_{name}": summary.letters[name] for name in ("closed", "new", "open")}}


def _say_summary(summary: Summary, skipped: Mapping[str, int], *, dry_run: bool) -> None:
    rows, letters = summary.rows, summary.letters
    say(
        f"{summary.answers} answers read again: {rows['added']} rows added, {rows['changed']} changed; "
        f"{letters['closed']} dead letters closed, {letters['new']} new{' (dry run)' if dry_run else ''}"
    )
    if rows["gone"]:
        say(f"{rows['gone']} rows of the store are read no more and stay stored; --dry-run shows them")
    if rows["refused"]:
        say(f"{rows['refused']} rows are not published: the store refused them before, see its dead letters")
    if letters["open"]:
        say(f"{letters['open']} dead letters stay open: their rows still break a rule")
    for reason, count in skipped.items():
        say(f"{count} answers cannot be read again: {reason}")


def _say_nothing(change: Change | LetterChange) -> None:
    """A run that changes something says what in its summary."""
    del change


def _say_line(change: Change | LetterChange) -> None:
    if isinstance(change, LetterChange):
        letter = change.letter
        say(f"{change.kind} dead letter: {letter.provider} {letter.symbol or ''} {letter.rule}: {letter.reason}")
        return
    fields = ", ".join(f"{name} {_pair(change, *pair)}" for name, pair in change.fields.items())
    key = " ".join(str(_shown(name, value)) for name, value in change.key.items() if value is not None)
    say(f"{SIGNS[change.kind]} {DATASET_TABLES[change.dataset]} {key}: {fields}")


def _pair(change: Change, old: Any, new: Any) -> str:
    if change.kind == "changed":
        return f"{_text(old)} -> {_text(new)}"
    return _text(new if change.kind == "added" else old)


def _text(value: Any) -> str:
    return "null" if value is None else str(value)


def _shown(name: str, value: Any) -> Any:
    """A key's value: times as dates."""
    if name != "ts":
        return value
    return utc_date(value) if value % 86_400_000 == 0 else f"{utc_date(value)}+{value % 86_400_000 / 3_600_000:.4f}h"


def _say_json(change: Change | LetterChange) -> None:
    if isinstance(change, LetterChange):
        say_json({"letter": change.kind, **change.letter.model_dump(exclude={"resolved_at"})})
        return
    fields = {name: {"stored": old, "read": new} for name, (old, new) in change.fields.items()}
    said = {"dataset": change.dataset, "key": dict(change.key), "fields": fields, "call_id": change.call_id}
    say_json({"row": change.kind, **said})


@click.group()
def raw() -> None:
    """Answers as they were received."""


@raw.command()
@_filters
@click.argument("folder", type=FOLDER)
@one_line_errors
def export(*, folder: Path, **given: Any) -> None:
    """Write stored answers into FOLDER, one file each, with what they answer. The files hold no key and can be shared.

    \b
    tapestream raw export --provider yahoo --dead answers/

    `tapestream replay --from FOLDER` and `tapestream normalize --case FILE` read them.
    """
    settings, selection = load_settings(), _selection(**given)
    say(asyncio.run(_export(settings, selection, folder)))


async def _export(settings: Settings, selection: Selection, folder: Path) -> str:
    redactor, written = Redactor(*_secrets(settings)), 0
    async with asking(settings) as ask:
        answers = StoredAnswers(ask, selection)
        async for batch in answers.batches():
            await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
            for answer in batch:
                await asyncio.to_thread(write_file, folder, answer, redactor)
                written += 1
    skipped = "".join(f"; {count} are left out: {reason}" for reason, count in answers.skipped.items())
    return f"{written} answers written to {folder}{skipped}"


def _secrets(settings: Settings) -> list[str]:
    """The keys of all providers, and the user and password of their URLs."""
    found = [key for name in connectors() for key in settings.keys(name)]
    for name in connectors():
        parts = urlsplit(settings.base_url(name) or "")
        found += [f"{unquote(parts.username or '')}:{unquote(parts.password)}"] if parts.password else []
    return found
