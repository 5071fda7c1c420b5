"""Says in words what a User-Agent claims to be. Anybody can claim anything, so it helps people to recognise their own."""

import re

# By what stands in the header; the first that fits. Most browsers also name those that they descend from.
BROWSERS = (
    (r"\bEdg(?:e|A|iOS)?/", "Edge"),
    (r"\b(?:OPR|Opera)\b", "Opera"),
    (r"\bSamsungBrowser/", "Samsung Internet"),
    (r"\bVivaldi/", "Vivaldi"),
    (r"\b(?:Firefox|FxiOS)/", "Firefox"),
    (r"\b(?:HeadlessChrome|Chromium)/", "Chromium"),
    (r"\b(?:Chrome|CriOS)/", "Chrome"),
    (r"\bSafari/", "Safari"),
    (r"\bcurl/", "curl"),
    (r"\bpython-requests/", "a Python program"),
)
SYSTEMS = (
    (r"\biPhone\b", "an iPhone"),
    (r"\biPad\b", "an iPad"),
    (r"\bAndroid\b", "Android"),
    (r"\bCrOS\b", "ChromeOS"),
    (r"\bWindows\b", "Windows"),
    (r"\b(?:Macintosh|Mac OS X)\b", "macOS"),
    (r"\bFreeBSD\b", "FreeBSD"),
    (r"\bLinux\b", "Linux"),
)


def describe_browser(user_agent: str) -> str:
    """Return `Firefox on Linux`, or as much of it as is known. What is not known at all is called so."""
    browser, system = (
        next((name for pattern, name in known if re.search(pattern, user_agent)), "") for known in (BROWSERS, SYSTEMS)
    )
    if not browser and not system:
        return "an unknown program"
    return f"{browser or 'A browser'} on {system}" if system else browser
