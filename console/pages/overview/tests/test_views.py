"""The overview."""

from triggers.models import CallState, TriggerCall


def test_a_failure_followed_by_a_success_needs_no_attention(reader, fleet):
    assert list(reader.get("/").context["broken_calls"]) == [fleet.call]
    TriggerCall.objects.create(
        application=fleet.application,
        action="redeploy",
        source="hook",
        state=CallState.SUCCEEDED,
        queued_at=fleet.call.completed_at,
    )
    assert list(reader.get("/").context["broken_calls"]) == []
