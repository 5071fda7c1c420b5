"""GET requests that nobody meant as a call: browsers load ahead, pages embed, and chats preview a link that somebody pasted.

A link acts on GET, as documented, so that tools can call it with plain curl. What a program requests on its own does nothing.
POST and PUT are always meant. A browser that opens a link for a person gets a page (triggers.hook.link_page).
"""

import re
from collections.abc import Mapping

from django.http import HttpRequest

from triggers.refusals import CallRefused

# Values of the headers by which browsers mark a request for a page that nobody has opened yet: Sec-Purpose of the Fetch
# standard (https://fetch.spec.whatwg.org/#http-sec-purpose), such as `prefetch;prerender`, and its forerunners in Chrome
# (Purpose), Firefox (X-Moz) and Safari (X-Purpose: preview).
PURPOSE_HEADERS = ("Sec-Purpose", "Purpose", "X-Purpose", "X-Moz")
AHEAD = re.compile(r"prefetch|prerender|preview", re.IGNORECASE)

# Sec-Fetch-Dest of what a page loads as a part of itself (https://fetch.spec.whatwg.org/#concept-request-destination). The
# others are `document`, which a person opens, and `empty`, which a script requests. Unknown values are ignored, as the standard
# demands, and so is a request without the header, which is from no browser.
EMBEDDED = re.compile(
    r"audio|audioworklet|embed|fencedframe|font|frame|iframe|image|json|manifest|object|paintworklet|report|script"
    r"|serviceworker|sharedworker|speculationrules|style|text|track|video|webidentity|worker|xslt"
)

# Robots that fetch a link to show a preview of it, by a part of their user agent.
PREVIEWERS: Mapping[str, str] = {
    "Slackbot": "Slack",  # https://api.slack.com/robots: `Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)`
    "Slack-ImgProxy": "Slack",  # the same page
    "SkypeUriPreview": "Microsoft Teams",  # Teams and Skype: `… SkypeUriPreview Preview/0.5`
    "MicrosoftPreview": "Microsoft Teams",  # https://aka.ms/browserpolicydoc: `MicrosoftPreview/2.0 +https://aka.ms/…`
    "Discordbot": "Discord",  # `Mozilla/5.0 (compatible; Discordbot/2.0; +https://discordapp.com)`
    "TelegramBot": "Telegram",  # `TelegramBot (like TwitterBot)`
    "WhatsApp/": "WhatsApp",  # https://developers.facebook.com/docs/sharing/webmasters/web-crawlers; Signal uses it as well
    "facebookexternalhit": "Facebook",  # the same page; Apple's Messages uses it as well
    "Twitterbot": "X",  # https://developer.x.com/en/docs/x-for-websites/cards/guides/getting-started: `Twitterbot/1.0`
    "LinkedInBot": "LinkedIn",  # `LinkedInBot/1.0 (compatible; Mozilla/5.0; … +http://www.linkedin.com)`
    "Mattermost-Bot": "Mattermost",  # `Mattermost-Bot/1.1`, in its server's HTTP client
    "Synapse (bot": "Matrix",  # `Synapse (bot; +https://github.com/matrix-org/synapse)`, in its preview_url resource
    "ZulipURLPreview": "Zulip",  # `Mozilla/5.0 (compatible; ZulipURLPreview/…; +…)`, in its url_preview package
}
PREVIEWER = re.compile("|".join(map(re.escape, PREVIEWERS)), re.IGNORECASE)
BY_LOWER_CASE = {part.lower(): name for part, name in PREVIEWERS.items()}

ADVICE = "To call the link on purpose, use POST."


class UnmeantRequest(CallRefused):
    """A GET request that a program made on its own. The message says how it was recognised.

    A preview is no mistake of anybody: whoever pastes a link gets 200 and a sentence. A page that embeds a link is one, or an
    attack."""

    status, code = 200, "not_meant"

    def __init__(self, what: str, status: int = 200) -> None:
        super().__init__(f"Nothing was done: {what}. {ADVICE}", status=status)


class PostOnly(CallRefused):
    """A GET request to the link of a trigger that acts on POST and PUT alone."""

    status, code = 405, "post_only"
    allow = "POST, PUT"

    def __init__(self) -> None:
        super().__init__("Nothing was done: this trigger acts on POST and PUT only. With curl, add -X POST.")


def check_meant(request: HttpRequest) -> None:
    """Refuse a GET request that is recognisably no call. Raises UnmeantRequest."""
    if request.method != "GET":
        return
    if what := explain_preview(request.headers):
        raise UnmeantRequest(what)
    destination = request.headers.get("Sec-Fetch-Dest", "").strip().lower()
    if EMBEDDED.fullmatch(destination):
        raise UnmeantRequest(f"a page loads the link as a part of itself ({destination})", status=403)


def explain_preview(headers: Mapping[str, str]) -> str:
    """Say what looks at the link before anybody opens it, as the end of a sentence; empty when the request can be a call."""
    if any(AHEAD.search(headers.get(name, "")) for name in PURPOSE_HEADERS):
        return "a browser loads this page ahead, before anybody opens it"
    if found := PREVIEWER.search(headers.get("User-Agent", "")):
        return f"{BY_LOWER_CASE[found[0].lower()]} fetches the link for a preview"
    return ""
