"""What an answer of Bright Data is billed: results only, a job's when they come."""

import json
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from connectors import connector
from connectors.brightdata import ARTICLES, USD
from streams.processing import replay

BRIGHT_DATA = connector("brightdata")
FIXTURES = {
    fixture["name"]: replay.Case.from_recording({"provider": "brightdata", **fixture}, fixture["call"])
    for fixture in json.loads((Path(__file__).parents[1] / "fixtures" / "brightdata.json").read_text())
}
NEWS = FIXTURES["snapshot of news"]


def charged(case, **answer):
    case = replace(case, answer=replace(case.answer, **answer))
    shares = {look(case.call, case.request, case.answer).charged for look in (BRIGHT_DATA.verdict, BRIGHT_DATA.read)}
    assert len(shares) == 1
    return shares.pop()


@pytest.mark.parametrize(
    ("name", "share"),
    [
        ("quote page in the JSON envelope", 1),
        ("no such page", 1),
        ("unlocking failed", 0),
        ("throttled with a 200", 0),
        ("the zone refuses the key", 0),
        ("wrong key", 0),
        ("company job triggered", 1),
        ("too many jobs", 0),
        ("no such dataset", 0),
        ("snapshot not ready", 1),
        ("snapshot of companies, one page dead", 0.5),
        ("background result not ready", 1),
        ("background result", 1),
    ],
)
def test_results_are_billed_and_nothing_else(name, share):
    assert charged(FIXTURES[name]) == share


@pytest.mark.parametrize("results", [0, 1, 30, ARTICLES, ARTICLES + 10])
def test_a_search_is_billed_by_its_results_and_never_more_than_it_reserved(results):
    failed = {"error": "Crawler error", "error_code": "crawl_failed"}
    rows = [*({"url": f"https://news.example/{n}"} for n in range(results)), failed]

    assert charged(NEWS, body=orjson.dumps(rows)) == min(results, ARTICLES) / ARTICLES


@pytest.mark.parametrize(
    ("body", "share"),
    [(b'{"status": "failed"}', 0), (b'{"status": "running"}', 1), (b'{"status"', 1), (b'"text"', 1), (b"", 1)],
)
def test_an_answer_without_results_gives_back_what_a_failed_job_reserved_and_nothing_else(body, share):
    assert charged(NEWS, body=body) == share


@pytest.mark.parametrize("status", [202, 401, 404, 429, 500])
@pytest.mark.parametrize("name", ["snapshot of news", "background result"])
def test_a_refused_poll_says_nothing_of_what_the_job_costs(name, status):
    assert charged(FIXTURES[name], status=status) == 1


def test_a_job_reserves_every_result_that_it_may_bring_and_its_polls_nothing():
    news, companies, snapshot = (BRIGHT_DATA.endpoint(name) for name in ("news", "companies", "snapshot"))

    assert (news.price(), companies.price(), snapshot.price()) == (ARTICLES * USD, USD, 0)
    assert (news.price(0.01), companies.price(0.01), snapshot.price(0.01)) == (ARTICLES * 0.01, 0.01, 0)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"status": "failed", "error_message": "no input"}, 'the job failed: "no input"'),
        ({"status": "failed"}, "the job failed: null"),
    ],
)
def test_a_failed_job_is_said_in_words_of_the_data(body, said):
    outcome = BRIGHT_DATA.verdict(NEWS.call, NEWS.request, replace(NEWS.answer, body=orjson.dumps(body)))

    assert (outcome.name, outcome.refusal.reason) == ("ProviderUnavailable", said)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"error": "Crawler error", "error_code": "crawl_failed"}, '"crawl_failed": "Crawler error"'),
        ({"error": "Crawler error"}, '"Crawler error"'),
    ],
)
def test_a_row_that_failed_is_said_in_words_of_the_data(row, said):
    companies = FIXTURES["snapshot of companies, one page dead"]
    body = orjson.dumps([row | {"input": {"url": "https://finance.yahoo.com/quote/NOPE"}}])
    outcome = BRIGHT_DATA.read(companies.call, companies.request, replace(companies.answer, body=body))

    assert outcome.missing["NOPE"].reason == said
