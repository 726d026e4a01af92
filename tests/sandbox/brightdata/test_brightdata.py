import json
import re
from datetime import UTC, datetime, timedelta
from urllib.parse import quote as encoded

import aiohttp
import orjson
import pytest

from sandbox import Clock, Fault, Limit, Sandbox, SandboxSettings
from sandbox.brightdata import JOB_TAKES
from sandbox.market.company import company
from sandbox.market.newsroom import news

NOW = datetime(2026, 7, 15, 15, 30, 10, tzinfo=UTC)
LATE = NOW - timedelta(minutes=15)
COMPANIES, NEWS = "gd_lmrpz3vxmz972ghd7", "gd_lnsxoxzi1omrwnka5r"
SCRIPT = re.compile(r'<script id="__NEXT_DATA__" type="application/json">(.*?)</script>')


@pytest.fixture
async def sandbox():
    keys = {"brightdata": {"k": None, "few": [Limit(1, "minute")]}}
    async with Sandbox(SandboxSettings(seed=7, keys=keys, clock=Clock(NOW, rate=0))) as sandbox:
        yield sandbox


@pytest.fixture
async def ask(sandbox):
    async with aiohttp.ClientSession() as http:

        async def ask(method, path, body=None, key="k", expect=200):
            headers = {"Authorization": f"Bearer {key}"} if key else {}
            data = body if isinstance(body, bytes) else orjson.dumps(body)
            url = f"{sandbox.url}/brightdata{path}"
            async with http.request(method, url, data=data, headers=headers) as response:
                text = await response.text()
                assert response.status == expect, text[:500]
                ask.response = response
                return orjson.loads(text) if response.content_type == "application/json" else text

        yield ask


@pytest.fixture
def unlock(ask):
    async def unlock(name, form="json", expect=200, **how):
        url = f"https://www.bloomberg.com/quote/{name}"
        return await ask("POST", "/request", {"zone": "z", "url": url, "format": form}, expect=expect, **how)

    return unlock


def shown(page):
    """The quote in a page of Bloomberg's."""
    return json.loads(SCRIPT.search(page)[1])["props"]["pageProps"]["quote"]


@pytest.mark.parametrize(
    ("name", "symbol", "unit", "currency"),
    [
        ("AAPL:US", "AAPL", 1, "USD"),
        ("BRK/B:US", "BRK.B", 1, "USD"),
        ("SPY:US", "SPY", 1, "USD"),
        ("VOD:LN", "VOD.XLON", 100, "GBp"),
        ("SPX:IND", "^GSPC", 1, "USD"),
        ("EURUSD:CUR", "EUR/USD", 1, "USD"),
        ("XBTUSD:CUR", "BTC-USD", 1, "USD"),
        ("GC1:COM", "GC", 1, "USD"),
    ],
)
async def test_quotes_are_a_quarter_of_an_hour_old(sandbox, unlock, name, symbol, unit, currency):
    envelope = await unlock(name)
    row, truth = shown(envelope["body"]), sandbox.market.quote(symbol, LATE)

    assert envelope["status_code"] == 200
    assert row["price"] == pytest.approx(truth.price * unit)
    assert row["previousClosingPriceOneTradingDayAgo"] == pytest.approx(truth.prev_close * unit)
    assert (row["id"], row["issuedCurrency"], row["lastUpdateEpoch"]) == (name, currency, str(truth.ts // 1000))
    assert row["lowPrice52Week"] <= row["price"] <= row["highPrice52Week"]


async def test_the_target_s_status_goes_through_or_into_the_envelope(unlock):
    page = await unlock("AAPL:US", form="raw")
    dead = await unlock("ZZZZ:US", form="raw", expect=404)
    envelope = await unlock("ZZZZ:US")

    assert shown(page)["ticker"] == "AAPL"
    assert (envelope["status_code"], envelope["body"]) == (404, dead)


async def test_a_host_that_nobody_answers_at(ask):
    body = {"zone": "z", "url": "https://nowhere.example/", "format": "raw"}

    assert await ask("POST", "/request", body, expect=502) == ""
    assert ask.response.headers["x-brd-error-code"]


async def test_bloomberg_s_own_json_and_a_search(ask):
    quote = await ask(
        "POST",
        "/request",
        {"zone": "z", "url": "https://www.bloomberg.com/markets/api/quote-page/SPX:IND", "format": "raw"},
    )
    found = await ask(
        "POST",
        "/request",
        {"zone": "z", "url": "https://www.google.com/search?q=apple&brd_json=1", "format": "raw"},
    )

    assert quote["basicQuote"]["id"] == "SPX:IND"
    assert found["general"]["query"] == "apple"
    assert [row["rank"] for row in found["organic"]] == list(range(1, 11))


async def test_a_request_in_the_background(sandbox, ask):
    await ask("POST", "/unblocker/req?zone=z", {"url": "https://www.bloomberg.com/quote/AAPL:US"})
    path = f"/unblocker/get_result?zone=z&response_id={encoded(ask.response.headers['x-response-id'])}"

    await ask("GET", path, expect=202)
    sandbox.clock.advance(JOB_TAKES)
    assert shown(await ask("GET", path))["ticker"] == "AAPL"
    await ask("GET", "/unblocker/get_result?zone=z&response_id=r_none", expect=404)


async def test_a_job_from_trigger_to_records(sandbox, ask):
    names = ("AAPL", "BRK-B", "VOD.L", "SPY", "VFIAX", "ZZZZ")
    inputs = [{"url": f"https://finance.yahoo.com/quote/{name}"} for name in names]
    job = (await ask("POST", f"/datasets/v3/trigger?dataset_id={COMPANIES}&include_errors=true", inputs))["snapshot_id"]
    states = []
    for _ in range(4):
        states.append((await ask("GET", f"/datasets/v3/progress/{job}"))["status"])
        sandbox.clock.advance(JOB_TAKES / 3)
    rows = await ask("GET", f"/datasets/v3/snapshot/{job}?format=json")

    assert states == ["starting", "running", "running", "ready"]
    assert [row["input"] for row in rows] == inputs
    assert [row.get("stock_ticker") for row in rows] == [*names[:-1], None]
    assert rows[-1]["error_code"] == "dead_page"
    apple = sandbox.market.quote("AAPL", NOW + JOB_TAKES)
    assert rows[0]["closing_price"] == apple.price
    assert rows[0]["company_profile_employees"] == company(sandbox.market, "AAPL").employees
    assert rows[0]["timestamp"] == "2026-07-15T15:30:16.000Z"


async def test_a_snapshot_that_is_not_ready(ask):
    job = (await ask("POST", f"/datasets/v3/trigger?dataset_id={NEWS}", [{"keyword": "apple"}]))["snapshot_id"]
    body = await ask("GET", f"/datasets/v3/snapshot/{job}", expect=202)

    assert body == {"status": "starting", "message": "Snapshot is not ready yet, try again in 10s"}


async def test_errors_are_left_out_unless_asked_for(ask):
    inputs = [{"url": "https://finance.yahoo.com/quote/ZZZZ"}]

    assert await ask("POST", f"/datasets/v3/scrape?dataset_id={COMPANIES}", inputs) == []
    assert len(await ask("POST", f"/datasets/v3/scrape?dataset_id={COMPANIES}&include_errors=true", inputs)) == 1


async def test_news_about_a_keyword(sandbox, ask):
    inputs = [{"url": "https://news.google.com/", "keyword": "Apple", "country": "US", "language": "en"}]
    rows = await ask("POST", f"/datasets/v3/scrape?dataset_id={NEWS}", inputs)
    few = await ask("POST", f"/datasets/v3/scrape?dataset_id={NEWS}&limit_multiple_results=3", inputs)
    truth = news(sandbox.market, ["AAPL"], NOW - timedelta(days=30), NOW)

    assert [row["url"] for row in rows] == [article.url for article in truth]
    assert few == rows[:3]


@pytest.mark.parametrize("key", ["nobody", ""])
async def test_a_wrong_key_is_refused(unlock, key):
    assert await unlock("AAPL:US", key=key, expect=401) == "Unauthorized"


async def test_too_much_is_a_robot_page_or_a_busy_dataset(ask, unlock):
    trigger = f"/datasets/v3/trigger?dataset_id={NEWS}"
    await unlock("AAPL:US", key="few")

    assert "Are you a robot?" in await unlock("AAPL:US", key="few", form="raw")
    assert "Are you a robot?" in (await unlock("AAPL:US", key="few"))["body"]
    assert "too many running jobs" in await ask("POST", trigger, [{"keyword": "x"}], key="few", expect=429)


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/request", b"{", 400),
        ("/request", {"url": "https://www.bloomberg.com/quote/AAPL:US", "format": "raw"}, 400),
        ("/request", {"zone": "z", "url": "https://www.bloomberg.com/quote/AAPL:US", "format": "xml"}, 400),
        ("/unblocker/req", {"url": "https://www.bloomberg.com/quote/AAPL:US"}, 400),
        (f"/datasets/v3/trigger?dataset_id={NEWS}", [], 400),
        (f"/datasets/v3/trigger?dataset_id={NEWS}&limit_multiple_results=all", [{"keyword": "x"}], 400),
        ("/datasets/v3/trigger?dataset_id=gd_none", [{"keyword": "x"}], 404),
    ],
)
async def test_what_cannot_be_read_is_plain_text(ask, path, body, status):
    assert isinstance(await ask("POST", path, body, expect=status), str)


@pytest.mark.parametrize("path", ["/datasets/v3/progress/s_none", "/datasets/v3/snapshot/s_none"])
async def test_a_snapshot_that_does_not_exist(ask, path):
    assert await ask("GET", path, expect=404) == "Snapshot does not exist"


async def test_faults_find_the_symbol_in_the_payload(sandbox, unlock):
    sandbox.misbehave(Fault("negative_price", provider="brightdata", symbol="AAPL:US", next=1))

    assert shown((await unlock("IBM:US"))["body"])["price"] > 0
    assert shown((await unlock("AAPL:US"))["body"])["price"] < 0
