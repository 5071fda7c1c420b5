"""Words for people about tasks and services: exact, on one line, of a length to be read."""

from collections import Counter
from collections.abc import Iterable, Sequence

from clusters.engine.swarm.images import shorten_image
from clusters.engine.swarm.observed import Look, Task, sort_tasks
from clusters.engine.wording import cut

NAMED_AT_MOST = 5
ENDED = {"failed": "failed", "rejected": "was rejected", "complete": "ended by itself"}


def count_tasks(number: int) -> str:
    return f"{number} task{'' if number == 1 else 's'}"


def describe_end(look: Look, task: Task) -> str:
    """`web.2 on node1 failed: task: non-zero exit (1)`."""
    text = f"{look.name_task(task)}{describe_node(look, task)} {ENDED.get(task.state, f'is {task.state}')}"
    if task.error:
        text += f": {task.error}"
    code = task.exit_code
    says_code = code is not None and f"({code})" in task.error
    return text if code is None or says_code or task.state == "rejected" else f"{text} (exit code {code})"


def describe_node(look: Look, task: Task) -> str:
    return f" on {look.name_node(task.node_id)}" if task.node_id and not look.is_spread_over_nodes else ""


def describe_unplaced(tasks: Iterable[Task]) -> str:
    """`2 tasks pending: no suitable node (insufficient resources on 1 node)`."""
    reasons = Counter(task.error for task in tasks)
    return "; ".join(f"{count_tasks(number)} pending: {reason}" for reason, number in sorted(reasons.items())[:NAMED_AT_MOST])


def describe_waiting(look: Look, tasks: Sequence[Task]) -> str:
    """`web.1 preparing on node1, web.2 starting on node2`."""
    shown = [f"{look.name_task(task)} {task.state}{describe_node(look, task)}" for task in sort_tasks(tasks)[:NAMED_AT_MOST]]
    more = len(tasks) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "")


def describe_lost_nodes(look: Look) -> str:
    """`node2 is down`; empty when none is."""
    down = sorted(node.hostname for node in look.nodes.values() if node.is_down)
    if not down:
        return ""
    more = f" and {len(down) - NAMED_AT_MOST} more" if len(down) > NAMED_AT_MOST else ""
    return f"{', '.join(down[:NAMED_AT_MOST])}{more} {'is' if len(down) == 1 else 'are'} down"


def describe_running(look: Look) -> str:
    """`2 of 3 tasks of web run app:1@sha256:0123456789ab`; by image where they run several."""
    if look.service is None:
        return "the service is gone"
    name, running, wanted = look.service.name, look.running, look.wanted
    if look.service.is_job:
        done = sum(task.state == "complete" and task.iteration == look.service.iteration for task in look.tasks)
        return f"{done} of {count_tasks(wanted)} of {name} completed"
    if not running:
        return f"none of {count_tasks(wanted)} of {name} runs" if wanted else f"{name} has no tasks to run"
    images = Counter(cut(shorten_image(task.image)) for task in running)
    shown = ", ".join(f"{number} {image}" for image, number in sorted(images.items()))
    verb = "runs" if wanted == 1 else "run"
    return f"{len(running)} of {count_tasks(wanted)} of {name} {verb} {shown if len(images) > 1 else next(iter(images))}"
