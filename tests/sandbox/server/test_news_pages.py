from datetime import UTC, datetime, timedelta

import pytest

from sandbox.market.market import Market
from sandbox.market.newsroom import news
from sandbox.server.news_pages import Request, articles, page

MARKET = Market(seed=7)
SYMBOLS = list(MARKET.instruments)
END = datetime(2026, 7, 15, tzinfo=UTC)


def pages(asked, limit):
    mark, found = "", []
    for _ in range(2000):
        some, mark = page(MARKET, asked, limit, mark)
        found.append(some)
        if not mark:
            return found
    raise AssertionError("the pages never end")


@pytest.mark.parametrize("backward", [True, False])
def test_articles_come_in_order_over_many_stretches(backward):
    asked = Request(["AAPL", "BTC-USD"], END - timedelta(days=40), END, backward)
    truth = news(MARKET, asked.symbols, asked.since, asked.until)

    assert list(articles(MARKET, asked)) == (truth if backward else truth[::-1])


@pytest.mark.parametrize("backward", [True, False])
@pytest.mark.parametrize("limit", [1, 2, 50])
def test_articles_of_one_second_are_told_once_each(backward, limit):
    asked = Request(SYMBOLS, END - timedelta(days=2), END, backward)
    truth = list(articles(MARKET, asked))
    told = pages(asked, limit)

    assert len({article.at for article in truth}) < len(truth)  # some share their second
    assert [article for some in told for article in some] == truth
    assert all(len(some) == limit for some in told[:-1])


def test_nothing_to_tell_is_one_empty_page():
    assert page(MARKET, Request([], END - timedelta(days=2), END), 10) == ([], "")


@pytest.mark.parametrize("mark", ["no", "1.x", "1", "1.2.3"])
def test_a_mark_that_is_none(mark):
    with pytest.raises(ValueError, match=r"invalid literal|unpack"):
        page(MARKET, Request(["AAPL"], END - timedelta(days=2), END), 10, mark)
