"""A driver that does what a test says, in place of an engine's."""

from clusters.engine.driver import Outcome
from clusters.engine.snapshot import ServiceSnapshot, Snapshot


class ScriptedObservation:
    def __init__(self, running):
        self.running = running

    def current_count(self, service):
        return self.running

    def list_keep_labels(self):
        return []

    def snapshot(self):
        return Snapshot({"web": ServiceSnapshot(running=self.running)})


class ScriptedPlan:
    def __init__(self, text, empty=False):
        self.text, self.empty = text, empty

    def as_text(self):
        return self.text

    def is_empty(self):
        return self.empty


class ScriptedDriver:
    """A driver that runs no engine. `running` is the count; each of `failures` is raised once, at the next observe."""

    minimum_replicas = 1
    takes_back_earlier = False

    def __init__(self):
        self.running = 3
        self.failures = []
        self.refusal = None
        self.outcome = Outcome("succeeded", "", "Done.")
        self.during = lambda check: None
        self.done = []
        self.intents = []
        self.evidence = []  # kept at the beginning of the work
        self.progress = []  # reported in the middle of the work

    def observe(self, client, target):
        if self.failures:
            raise self.failures.pop(0)
        return ScriptedObservation(self.running)

    def plan_redeploy(self, observation, intent):
        self.intents.append(intent)
        if self.refusal:
            raise self.refusal
        return ScriptedPlan("redeploy everything")

    def plan_scale(self, observation, service, replicas, intent):
        return ScriptedPlan(f"scale {service} {observation.running} -> {replicas}", observation.running == replicas)

    def execute(self, client, plan, report, check, progress, keep):
        check()
        for evidence in self.evidence:
            keep(evidence)
        report("info", "create", "web_4 created")
        for step in self.progress:
            progress(*step)
        self.during(check)
        self.done.append(plan.text)
        if "->" in plan.text and self.outcome.state == "succeeded":
            self.running = int(plan.text.split("-> ")[1])
        return self.outcome
