"""Status badges: the same shape, tone and word in the pages and in the admin."""

from django.templatetags.static import static
from django.utils.html import format_html
from django.utils.safestring import SafeString

ICONS = "console/icons.svg"

# state → (tone, shape, word). The shape differs with the tone, so that colour is never the only sign.
BADGES: dict[str, tuple[str, str, str]] = {
    # applications and services
    "running": ("ok", "filled", "Running"),
    "degraded": ("warn", "half", "Degraded"),
    "stopped": ("idle", "hollow", "Stopped"),
    "absent": ("idle", "hollow", "Absent"),
    # containers, by the engine's word
    "created": ("idle", "hollow", "Created"),
    "exited": ("idle", "hollow", "Exited"),
    "paused": ("warn", "half", "Paused"),
    "restarting": ("busy", "ring", "Restarting"),
    "removing": ("busy", "ring", "Removing"),
    "dead": ("bad", "triangle", "Dead"),
    # health
    "healthy": ("ok", "filled", "Healthy"),
    "starting": ("busy", "ring", "Starting"),
    "unhealthy": ("bad", "triangle", "Unhealthy"),
    # clusters
    "unknown": ("idle", "hollow", "Not seen yet"),
    "reachable": ("ok", "filled", "Reachable"),
    "unreachable": ("bad", "triangle", "Unreachable"),
    # calls
    "call-queued": ("busy", "hollow", "Queued"),
    "call-running": ("busy", "ring", "Running"),
    "call-succeeded": ("ok", "filled", "Succeeded"),
    "call-failed": ("bad", "triangle", "Failed"),
    "call-rolled_back": ("warn", "back", "Rolled back"),
    "call-coalesced": ("idle", "half", "Coalesced"),
    "call-rejected": ("idle", "cross", "Rejected"),
    # triggers and events
    "enabled": ("ok", "filled", "Enabled"),
    "disabled": ("idle", "hollow", "Disabled"),
    "info": ("idle", "hollow", "Info"),
    "warning": ("warn", "half", "Warning"),
    "error": ("bad", "triangle", "Error"),
}


def render_badge(state: str, kind: str = "") -> SafeString:
    """A status: shape and word. `kind="call"` for a call's state. An unknown state shows as its own word."""
    tone, _, word = find_badge(state, kind)
    return format_html('<span class="badge badge-{}">{}{}</span>', tone, render_shape(state, kind), word)


def render_shape(state: str, kind: str = "") -> SafeString:
    """A status's shape alone, where the words beside it name the state."""
    tone, name, _ = find_badge(state, kind)
    return format_html(
        '<svg class="shape shape-{} tone-{}" aria-hidden="true"><use href="{}#shape-{}"/></svg>',
        name,
        tone,
        static(ICONS),
        name,
    )


def find_badge(state: str, kind: str) -> tuple[str, str, str]:
    return BADGES.get(f"{kind}-{state}" if kind else state, ("idle", "hollow", state))
