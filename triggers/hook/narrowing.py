"""What narrows a trigger's link: who has proved that they may call it is refused here if its options say so.

The checks stand in the order in which they are made. None takes a query, or any work to speak of, for who does not use it.
"""

from django.http import HttpRequest

from triggers.bodies import Parameters
from triggers.models import Trigger


def check_narrowing(request: HttpRequest, parameters: Parameters, trigger: Trigger) -> None:
    """Refuse a caller that the trigger's options exclude. Raises CallRefused, with a `reason`."""
