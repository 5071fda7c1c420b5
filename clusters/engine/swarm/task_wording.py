"""Sentences about tasks and services: exact, on one line, and short enough to read."""

from collections import Counter
from collections.abc import Iterable, Sequence

from clusters.engine.swarm.image_references import shorten_image
from clusters.engine.swarm.objects import SwarmTask, sort_tasks
from clusters.engine.swarm.observed import ServiceLook
from clusters.engine.wording import cut

NAMED_AT_MOST = 5
ENDED = {"failed": "failed", "rejected": "was rejected", "complete": "ended by itself"}


def count_tasks(number: int) -> str:
    return f"{number} task{'' if number == 1 else 's'}"


def count_running_tasks(number: int) -> str:
    return f"{count_tasks(number)} {'runs' if number == 1 else 'run'}"


def describe_end(look: ServiceLook, task: SwarmTask) -> str:
    """Return `web.2 on node1 failed: task: non-zero exit (1)`."""
    text = f"{look.name_task(task)}{describe_task_node(look, task)} {ENDED.get(task.state, f'is {task.state}')}"
    if task.error:
        text += f": {task.error}"
    code = task.exit_code
    has_code = code is not None and f"({code})" in task.error
    return text if code is None or has_code or task.state == "rejected" else f"{text} (exit code {code})"


def describe_task_node(look: ServiceLook, task: SwarmTask) -> str:
    return f" on {look.name_node(task.node_id)}" if task.node_id and not look.is_spread_over_nodes else ""


def describe_unplaced(tasks: Iterable[SwarmTask]) -> str:
    """Return `2 tasks pending: no suitable node (insufficient resources on 1 node)`."""
    reasons = Counter(task.error for task in tasks)
    return "; ".join(f"{count_tasks(number)} pending: {reason}" for reason, number in sorted(reasons.items())[:NAMED_AT_MOST])


def describe_waiting(look: ServiceLook, tasks: Sequence[SwarmTask]) -> str:
    """Return `web.1 preparing on node1, web.2 starting on node2`."""
    shown = [
        f"{look.name_task(task)} {task.state}{describe_task_node(look, task)}" for task in sort_tasks(tasks)[:NAMED_AT_MOST]
    ]
    more = len(tasks) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "")


def describe_lost_nodes(look: ServiceLook) -> str:
    """Return `node2 is down`, or an empty string if no node is down."""
    down = sorted(node.hostname for node in look.nodes.values() if node.is_down)
    if not down:
        return ""
    more = f" and {len(down) - NAMED_AT_MOST} more" if len(down) > NAMED_AT_MOST else ""
    return f"{', '.join(down[:NAMED_AT_MOST])}{more} {'is' if len(down) == 1 else 'are'} down"


def describe_running(look: ServiceLook) -> str:
    """Return `2 of 3 tasks of web run app:1@sha256:0123456789ab`, with the number for each image if there are several."""
    if look.service is None:
        return "the service no longer exists"
    name, running, wanted = look.service.name, look.running, look.wanted
    if look.service.is_job:
        done = sum(task.state == "complete" and task.iteration == look.service.iteration for task in look.tasks)
        return f"{done} of {count_tasks(wanted)} of {name} completed"
    if not running and not wanted:
        return f"{name} has no tasks to run"
    text = f"{len(running)} of {count_tasks(wanted)} of {name} {'runs' if wanted == 1 else 'run'}"
    images = Counter(cut(shorten_image(task.image)) for task in running)
    if len(images) > 1:
        return f"{text} {', '.join(f'{number} {image}' for image, number in sorted(images.items()))}"
    return " ".join([text, *images])
