"""News of calls that end, and of what they want. Written in the transaction that ends the call."""

from django.db.models import Q

from triggers.models import CallState, News, TriggerCall
from triggers.notifications.outbox import find_channels, write_news
from triggers.selectors import get_call

ENDS = (CallState.SUCCEEDED, CallState.FAILED, CallState.ROLLED_BACK)
NEWS_OF_END = {
    CallState.SUCCEEDED: (News.WORKS_AGAIN, News.SUCCEEDED),
    CallState.FAILED: (News.FAILED,),
    CallState.ROLLED_BACK: (News.FAILED,),
}


def record_ending(call: TriggerCall, state: CallState) -> None:
    """Write the news that this call has ended, after its row was changed and in the same transaction. Its application is
    loaded.

    Costs one query where no rule wants it. Calls that are merged into it ran with it and are no news of their own."""
    wanted = find_channels(NEWS_OF_END.get(state, ()), call.application.cluster_id, call.application_id)
    if not wanted:
        return
    ended = get_call(call.pk)
    told: set[int] = set()
    for news in NEWS_OF_END[state]:
        channels = wanted.get(news, set()) - told
        if channels and (news != News.WORKS_AGAIN or failed_before(ended)):
            write_news(news, channels, ended.application.cluster, ended.application, ended)
            told |= channels


def failed_before(call: TriggerCall) -> bool:
    """Return whether what the call did had failed the last time: the same action of the application, for the same service or
    for all of them, whoever asked for it."""
    calls = TriggerCall.objects.filter(application=call.application_id, action=call.action, state__in=ENDS).exclude(pk=call.pk)
    if call.service_id:
        calls = calls.filter(Q(service=call.service_id) | Q(service__isnull=True))
    last = calls.filter(merged_into__isnull=True).order_by("-queued_at").values_list("state", flat=True).first()
    return last in (CallState.FAILED, CallState.ROLLED_BACK)
