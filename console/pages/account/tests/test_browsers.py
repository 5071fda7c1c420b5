import pytest

from console.pages.account.browsers import describe_browser

MOZILLA = "Mozilla/5.0"


@pytest.mark.parametrize(
    ("agent", "words"),
    [
        (f"{MOZILLA} (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0", "Firefox on Linux"),
        (f"{MOZILLA} (Windows NT 10.0) AppleWebKit/537.36 Chrome/131.0 Safari/537.36 Edg/131.0", "Edge on Windows"),
        (f"{MOZILLA} (Macintosh; Intel Mac OS X 10_15) AppleWebKit/605.1.15 Version/18.1 Safari/605.1", "Safari on macOS"),
        (f"{MOZILLA} (Linux; Android 14) AppleWebKit/537.36 Chrome/131.0 Mobile Safari/537.36", "Chrome on Android"),
        (f"{MOZILLA} (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1 FxiOS/133.0", "Firefox on an iPhone"),
        (f"{MOZILLA} (X11; Linux x86_64) AppleWebKit/537.36 HeadlessChrome/131.0 Safari/537.36", "Chromium on Linux"),
        ("curl/7.88.1", "curl"),
        ("something (Windows)", "A browser on Windows"),
        ("", "an unknown program"),
    ],
    ids=range(9),
)
def test_what_a_browser_says_of_itself_in_words(agent, words):
    assert describe_browser(agent) == words
