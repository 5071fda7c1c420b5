"""What a person sees who opens a link in a browser: a page that says what the link does, with a button that does it.

Browsers open addresses in many ways that nobody meant as a call, such as a restored tab. So a GET request that is a browser's
navigation never acts. The page needs no JavaScript. WINDLASS_LINK_PAGE=false turns it off, and such a request acts like any
other.
"""

import re
from collections.abc import Mapping

from django.conf import settings
from django.http import HttpResponse
from django.template.loader import render_to_string
from rest_framework.response import Response

from triggers.calls.requests import CallRequest
from triggers.hook.answers import answer

# The user agent of every browser since 2010. Robots that take a browser's name add their own: `compatible; …`, `…bot…`, or an
# address.
BROWSER = re.compile(r"Mozilla/5\.0 \((?!compatible)[^)]*\).* (?:Firefox|Chrome|Safari|Version|Edg|OPR)/\d", re.IGNORECASE)
ROBOT = re.compile(r"compatible;|bot\b|crawl|spider|monitor|https?://|PowerShell", re.IGNORECASE)
# Nothing but our own style sheet, icons, font and form.
PAGE_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; font-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)


def is_navigation(headers: Mapping[str, str]) -> bool:
    """Return whether a browser opens the address for a person.

    Browsers say so in Sec-Fetch-Mode (https://www.w3.org/TR/fetch-metadata/), but not over plain HTTP. There the user agent and
    the first of the accepted types decide: Java's and other clients accept text/html too, and are no browsers.
    """
    if not settings.LINK_PAGE:
        return False
    if mode := headers.get("Sec-Fetch-Mode"):
        return mode.strip().lower() == "navigate"
    agent = headers.get("User-Agent", "")
    wants_page = headers.get("Accept", "").lstrip().lower().startswith("text/html")
    return wants_page and bool(BROWSER.match(agent)) and not ROBOT.search(agent)


def answer_visitor(request: CallRequest) -> Response:
    """Answer a browser that opens a link: say what a call would do. `button` has the words of the button that calls it."""
    sentence, button = describe_request(request)
    return answer(200, f"{sentence} Press the button to call it.", button=button)


def describe_request(request: CallRequest) -> tuple[str, str]:
    """Return what the call would do, as a sentence, and the same in the words of a button. The request has a trigger."""
    trigger = request.trigger
    assert trigger is not None
    application = f"{trigger.application.name} on {trigger.application.cluster.name}"
    if request.step is None:
        image = f"the image of the tag {request.tag}" if request.tag else "its newest image"
        return f"This link redeploys the application {application} with {image}.", "Redeploy"
    number = f"{abs(request.step)} container{'s' if abs(request.step) != 1 else ''}"
    service = trigger.service.name if trigger.service else ""
    if request.step > 0:
        return f"This link adds {number} to the service {service} of {application}.", f"Add {number}"
    return f"This link removes {number} from the service {service} of {application}.", f"Remove {number}"


def render_answer(response: Response) -> HttpResponse:
    """Return an answer of the hook as a page with the same status and headers."""
    page = HttpResponse(render_to_string("triggers/link.html", {"answer": response.data}), status=response.status_code)
    for name, value in response.items():
        page.headers.setdefault(name, value)
    page["Content-Security-Policy"] = PAGE_POLICY
    return page
