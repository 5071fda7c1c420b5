"""Triggers, their calls, and the messages that call them."""

from triggers.models.call import ACTIVE_STATES, TERMINAL_STATES, CallState, Proof, TriggerCall, TriggerCallEvent
from triggers.models.delivery import AlertGroup, Decision, Delivery, DeliveryLine
from triggers.models.episode import Episode
from triggers.models.evidence import CallEvidence
from triggers.models.freeze import Behaviour, FreezeWindow
from triggers.models.image_age import AwaitedImage, SeenImage
from triggers.models.notification import (
    ALONE,
    DEFAULT_NEWS,
    RULE_NEWS,
    ChannelKind,
    DeliveryStatus,
    News,
    Notification,
    NotificationChannel,
    NotificationDelivery,
    NotificationRule,
)
from triggers.models.trigger import (
    NARROWING,
    OLD_SECRET_FIELDS,
    TRIGGER_ACTIONS,
    TRIGGER_CHOICES,
    Action,
    AlertState,
    ImageSubscription,
    OnFailure,
    Signature,
    Trigger,
)
from triggers.models.trusted_job import JOBS_MAXIMUM, TrustedJob

__all__ = [
    "ACTIVE_STATES",
    "ALONE",
    "Action",
    "AlertGroup",
    "AlertState",
    "AwaitedImage",
    "Behaviour",
    "CallEvidence",
    "CallState",
    "ChannelKind",
    "DEFAULT_NEWS",
    "Decision",
    "Delivery",
    "DeliveryLine",
    "DeliveryStatus",
    "Episode",
    "FreezeWindow",
    "ImageSubscription",
    "JOBS_MAXIMUM",
    "NARROWING",
    "News",
    "Notification",
    "NotificationChannel",
    "NotificationDelivery",
    "NotificationRule",
    "OLD_SECRET_FIELDS",
    "OnFailure",
    "Proof",
    "RULE_NEWS",
    "SeenImage",
    "Signature",
    "TERMINAL_STATES",
    "TRIGGER_ACTIONS",
    "TRIGGER_CHOICES",
    "Trigger",
    "TriggerCall",
    "TriggerCallEvent",
    "TrustedJob",
]
