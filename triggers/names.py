"""Names for triggers that nobody named."""

from itertools import chain, count

from triggers.models import Action, Trigger

LONGEST = 59  # characters, of the 64 of the field: the others are for a number


def propose_name(trigger: Trigger) -> str:
    """Return what the trigger does, as a name that no other trigger of its application has: `Redeploy`, `Scale web`,
    `Redeploy 2`. It fits into the field."""
    does = "Scale" if trigger.action == Action.SCALING else "Redeploy"
    name = f"{does} {trigger.service.name}" if trigger.service else does
    name = name[:LONGEST].rstrip()
    taken = set(Trigger.objects.filter(application=trigger.application_id).values_list("name", flat=True))
    return next(one for one in chain([name], (f"{name} {number}" for number in count(2))) if one not in taken)
