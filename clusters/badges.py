"""Status badges. A status has the same shape, tone and word in the pages and in the admin."""

from functools import lru_cache

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
    # containers, in the engine's words
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
    # tasks of a Swarm, in Swarm's words
    "task-new": ("busy", "hollow", "New"),
    "task-pending": ("busy", "hollow", "Pending"),
    "task-assigned": ("busy", "ring", "Assigned"),
    "task-accepted": ("busy", "ring", "Accepted"),
    "task-preparing": ("busy", "ring", "Preparing"),
    "task-ready": ("busy", "hollow", "Ready"),
    "task-starting": ("busy", "ring", "Starting"),
    "task-running": ("ok", "filled", "Running"),
    "task-complete": ("ok", "filled", "Complete"),
    "task-shutdown": ("idle", "hollow", "Shut down"),
    "task-failed": ("bad", "triangle", "Failed"),
    "task-rejected": ("bad", "triangle", "Rejected"),
    "task-remove": ("idle", "cross", "Removed"),
    "task-lost": ("warn", "half", "Lost"),  # last seen running, on a node that is down now
    "task-orphaned": ("warn", "half", "Orphaned"),
    # nodes of a Swarm
    "node-ready": ("ok", "filled", "Ready"),
    "node-down": ("bad", "triangle", "Down"),
    "node-disconnected": ("bad", "triangle", "Disconnected"),
    "node-unknown": ("warn", "half", "Unknown"),
    # updates of a Swarm service
    "update-updating": ("busy", "ring", "Updating"),
    "update-paused": ("bad", "triangle", "Update paused"),
    "update-completed": ("ok", "filled", "Completed"),
    "update-rollback_started": ("warn", "back", "Rolling back"),
    "update-rollback_paused": ("bad", "triangle", "Rollback paused"),
    "update-rollback_completed": ("warn", "back", "Rolled back"),
    # decisions about deliveries
    "delivery-triggered": ("ok", "filled", "Triggered"),
    "delivery-unchanged": ("idle", "half", "Unchanged"),
    "delivery-left": ("idle", "back", "Left image"),
    "delivery-tag": ("idle", "hollow", "Tag not followed"),
    "delivery-image": ("idle", "hollow", "No matching trigger"),
    "delivery-young": ("idle", "half", "Not yet: too young"),
    "delivery-duplicate": ("idle", "back", "Duplicate"),
    "delivery-rejected": ("warn", "cross", "Rejected"),
    "delivery-unsupported": ("idle", "cross", "Unsupported event"),
    "delivery-alert": ("idle", "hollow", "Alert not followed"),
    "delivery-unreadable": ("warn", "half", "Not understood"),
    "delivery-bad_signature": ("bad", "triangle", "Bad signature"),
    "delivery-refused": ("warn", "cross", "Refused call"),
    # notifications sent
    "sent-waiting": ("busy", "ring", "Waiting"),
    "sent-delivered": ("ok", "filled", "Delivered"),
    "sent-joined": ("idle", "half", "Joined"),
    "sent-failed": ("bad", "triangle", "Failed"),
    "sent-dropped": ("idle", "cross", "Not sent"),
    # channels
    "channel-on": ("ok", "filled", "On"),
    "channel-off": ("idle", "hollow", "Off"),
    "channel-problem": ("bad", "triangle", "Turned off"),
    # registries
    "registry-ok": ("ok", "filled", "Answers"),
    "registry-problem": ("bad", "triangle", "Problem"),
    "registry-unknown": ("idle", "hollow", "Not tested yet"),
    # triggers and events
    "enabled": ("ok", "filled", "Enabled"),
    "disabled": ("idle", "hollow", "Disabled"),
    "info": ("idle", "hollow", "Info"),
    "warning": ("warn", "half", "Warning"),
    "error": ("bad", "triangle", "Error"),
    # users
    "active": ("ok", "filled", "Active"),
    "inactive": ("idle", "hollow", "Deactivated"),
    # API tokens
    "expired": ("warn", "cross", "Expired"),
}


@lru_cache(maxsize=512)  # the states in a long table are few
def render_badge(state: str, kind: str = "") -> SafeString:
    """Render a status as shape and word. A state without a badge of its own is shown as the engine spells it.

    `kind` tells apart states that share a word: "call", "task", "node", "update", "delivery", "sent", "channel" or
    "registry".
    """
    tone, _, word = find_badge(state, kind)
    shown = format_html("<bdi>{}</bdi>", word) if word == state else word
    return format_html('<span class="badge badge-{}">{}{}</span>', tone, render_shape(state, kind), shown)


@lru_cache(maxsize=512)
def render_shape(state: str, kind: str = "") -> SafeString:
    """Render only the shape of a status, for places whose text names the state."""
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
