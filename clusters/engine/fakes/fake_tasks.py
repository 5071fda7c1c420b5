"""FakeSwarm's scheduler and its nodes' agents: each step takes each task one state on."""

from collections import Counter

from clusters.engine.fakes.fake_containers import CANNOT_START, COMPLETES, CRASHES, SERVES, Json, make_id, merge_command
from clusters.engine.fakes.fake_services import FakeTask
from clusters.engine.fakes.fake_swarm_state import FakeSwarmState
from clusters.engine.hooks import SCRIPT


class FakeTasks(FakeSwarmState):
    """Takes tasks from state to state."""

    def _advance(self, task: FakeTask) -> None:
        """Take the task one state further, unless its node is down."""
        node = self.nodes.get(task.node_id)
        if task.has_ended or (node and node["Status"]["State"] == "down"):
            return
        if task.desired in ("shutdown", "remove"):
            self._change(task, state="shutdown", message="shutdown")
            return
        self._release(task)
        if task.state == "new":
            self._change(task, state="pending", message="pending task scheduling")
        elif task.state == "pending":
            self._place(task)
        elif task.state == "assigned":
            self._change(task, state="preparing", message="preparing")
        elif task.state == "preparing":
            self._prepare(task)
        elif task.state == "ready" and task.desired != "ready":
            self._change(task, state="starting", message="starting", container_id=make_id("container", task.id))
        elif task.state in ("starting", "running"):
            self._run(task)

    def _release(self, task: FakeTask) -> None:
        """Let a waiting task run once its delay is over and its predecessor has ended. Shut down an older task in its place."""
        if task.desired == "ready":
            task.hold -= 1
            before = task.waits_for
            if task.hold <= 0 and (before is None or before.has_ended or self._has_lost_node(before)):
                service = self.services[task.service_id]
                self._change(task, desired="complete" if service.is_job else "running")
        if task.state == "running":
            for other in self.tasks:
                if other.service_id == task.service_id and other.place == task.place and self._is_older(other, task):
                    self._change(other, desired="shutdown")

    def _is_older(self, other: FakeTask, task: FakeTask) -> bool:
        return other.is_live and other.iteration is None and other.created < task.created

    def _place(self, task: FakeTask) -> None:
        refusals: Counter[str] = Counter()
        suitable = []
        for node in self.nodes.values() if not task.node_id else [self.nodes[task.node_id]]:
            if refusal := self._find_refusal(task, node):
                refusals[refusal] += 1
            else:
                suitable.append(node)
        if suitable:
            load = Counter(other.node_id for other in self.tasks if other.is_live)
            chosen = min(suitable, key=lambda node: load[node["ID"]])
            self._change(task, state="assigned", message="scheduler assigned task to node", node_id=chosen["ID"], error="")
            return
        reasons = [refusal.format(count_nodes(number)) for refusal, number in refusals.most_common()]
        error = f"no suitable node ({'; '.join(reasons)})"
        if task.error != error:
            self._change(task, error=error)

    def _find_refusal(self, task: FakeTask, node: Json) -> str:
        """Return why the scheduler passes over the node, with {} for the number of such nodes, or "" where it does not."""
        if node["Status"]["State"] != "ready" or node["Spec"]["Availability"] != "active":
            return "{} not available for new tasks"
        used = sum(reserved_memory(t.spec) for t in self.tasks if t.node_id == node["ID"] and not t.has_ended)
        if used + reserved_memory(task.spec) > node["Description"]["Resources"]["MemoryBytes"]:
            return "insufficient resources on {}"
        return "scheduling constraints not satisfied on {}" if self._misses_constraint(task.spec, node) else ""

    def _misses_constraint(self, template: Json, node: Json) -> bool:
        facts = {
            "node.id": node["ID"],
            "node.hostname": node["Description"]["Hostname"],
            "node.role": node["Spec"]["Role"],
            **{f"node.labels.{name}": value for name, value in node["Spec"]["Labels"].items()},
        }
        for constraint in (template.get("Placement") or {}).get("Constraints") or []:
            name, sign, value = constraint.partition("!=") if "!=" in constraint else constraint.partition("==")
            if (facts.get(name.strip()) == value.strip()) != (sign == "=="):
                return True
        return False

    def _prepare(self, task: FakeTask) -> None:
        container = task.spec["ContainerSpec"]
        if self._find_image(container["Image"], container.get("PullOptions", "")) is None:
            reference = container["Image"].partition("@")[0]
            self._change(task, state="rejected", message="preparing", error=f"No such image: {reference}")
        else:
            self._change(task, state="ready", message="prepared")

    def _run(self, task: FakeTask) -> None:
        container = task.spec["ContainerSpec"]
        image = self._find_image(container["Image"], container.get("PullOptions", "")) or {}
        body = {"Entrypoint": container.get("Command"), "Cmd": container.get("Args")}
        arguments, entrypoint = merge_command(body, image)
        command = [*(entrypoint or []), *(arguments or [])]
        health_check = (container.get("Healthcheck") or image.get("Healthcheck") or {}).get("Test") or []
        if command[:1] == CANNOT_START:
            error = 'starting container failed: OCI runtime create failed: exec: "/bin/not-there": no such file or directory'
            self._change(task, state="failed", message="starting", error=f"{error}: unknown", exit_code=127)
        elif task.state == "starting" and health_check[-1:] == ["/bin/false"]:
            self._stop_unhealthy(task, image)
        elif task.state == "starting":
            self._change(task, state="running", message="started")
        elif command[:1] == CRASHES:
            self._change(task, state="failed", error="task: non-zero exit (1)", exit_code=1)
        elif command[:1] == COMPLETES or (command[:3] == ["sh", "-c", SCRIPT] and self._passes(*command[4:6])):
            self._change(task, state="complete", message="finished")

    def _passes(self, host: str, port: str = "") -> bool:
        """Return whether the script of a check ends: it only looks for tools, or a task that `host` means answers."""
        services = [service for service in self.services.values() if f"tasks.{service.name}" == host]
        tasks = [task for service in services for task in self.tasks if task.service_id == service.id]
        images = [self._find_image(task.spec["ContainerSpec"]["Image"], "") for task in tasks if task.state == "running"]
        return not host or (port == "8080" and any((image or {}).get("Cmd") == SERVES for image in images))

    def _stop_unhealthy(self, task: FakeTask, image: Json) -> None:
        if image.get("StopSignal") == "SIGKILL":
            error = "task: non-zero exit (137): dockerexec: unhealthy container"
            self._change(task, state="failed", message="started", error=error, exit_code=137)
        else:
            self._change(task, state="complete", message="finished")


def reserved_memory(template: Json) -> int:
    """Return bytes."""
    return int(((template.get("Resources") or {}).get("Reservations") or {}).get("MemoryBytes") or 0)


def count_nodes(number: int) -> str:
    return "1 node" if number == 1 else f"{number} nodes"
