"""A worker's way through a call: claim, observe, plan, execute, finish. With `triggers.calls`, the only writer of
TriggerCall.state (see there)."""
