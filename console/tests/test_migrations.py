"""While hosts are upgraded one after the other, the old version runs beside the new database: what it reads stays, and the rows
it writes without knowing new columns are taken. docs/operate.md, "Upgrade", says so to operators."""

import pytest
from django.db import migrations, models
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState

# Of each application the last migration from before the rule.
BEFORE_THE_RULE = {"clusters": "0004_registry", "triggers": "0006_image_subscriptions", "console": ""}
HARMLESS = (
    migrations.CreateModel,
    migrations.AddIndex,
    migrations.RemoveIndex,
    migrations.RenameIndex,
    migrations.AlterModelOptions,
    migrations.AlterModelManagers,
    migrations.AlterOrderWithRespectTo,
    migrations.RemoveConstraint,
    migrations.RunPython,
)


def explain_harm(operation: Operation, state: ProjectState, app: str) -> str:
    """What the old version would meet; empty when nothing. `state`: before the operation."""
    if isinstance(operation, HARMLESS):
        return ""
    if isinstance(operation, migrations.AddField):
        field = operation.field
        if field.null or field.has_db_default() or field.many_to_many:
            return ""
        return f"{operation.model_name}.{operation.name} is neither nullable nor has a db_default: old rows cannot be added"
    if isinstance(operation, migrations.AlterField):
        former = state.models[app, operation.model_name_lower].get_field(operation.name)
        return explain_altered_field(f"{operation.model_name}.{operation.name}", former, operation.field)
    return f"{operation.describe()}: the old version may rely on what was there"


def explain_altered_field(name: str, former: models.Field, field: models.Field) -> str:
    if former.get_internal_type() != field.get_internal_type():
        return f"{name} becomes another type of column"
    if former.null and not field.null:
        return f"{name} is no longer nullable"
    if former.has_db_default() and not field.has_db_default():
        return f"{name} loses its db_default"
    if field.max_length and field.max_length < (former.max_length or field.max_length + 1):
        return f"{name} becomes shorter"
    return f"{name} becomes unique" if field.unique and not former.unique else ""


@pytest.mark.parametrize("app", BEFORE_THE_RULE)
def test_migrations_are_safe_beside_the_old_version(app):
    loader = MigrationLoader(None)
    leaves = loader.graph.leaf_nodes(app)
    mine = [key for key in (loader.graph.forwards_plan(leaves[0]) if leaves else []) if key[0] == app]
    ruled = mine.index((app, BEFORE_THE_RULE[app])) + 1 if BEFORE_THE_RULE[app] else 0
    harms = []
    for key in mine[ruled:]:
        state = loader.project_state(key, at_end=False)
        for operation in loader.graph.nodes[key].operations:
            if harm := explain_harm(operation, state, app):
                harms.append(f"{key[1]}: {harm}")
            operation.state_forwards(app, state)
    assert harms == []


def field(**options):
    return models.CharField(**{"max_length": 10} | options)


@pytest.mark.parametrize(
    "operation",
    [
        migrations.RemoveField("trigger", "name"),
        migrations.RenameField("trigger", "name", "title"),
        migrations.RenameModel("Trigger", "Link"),
        migrations.DeleteModel("Trigger"),
        migrations.AlterModelTable("trigger", "links"),
        migrations.AddConstraint("trigger", models.CheckConstraint(condition=models.Q(name__gt=""), name="named")),
        migrations.RunSQL("DROP TABLE triggers_trigger"),
        migrations.AddField("trigger", "word", field()),
        migrations.AddField("trigger", "word", field(default="")),
        migrations.AlterField("trigger", "name", field()),
        migrations.AlterField("trigger", "name", models.TextField()),
        migrations.AlterField("trigger", "name", field(max_length=255, unique=True)),
        migrations.AlterField("trigger", "alert_state", field(max_length=12)),
        migrations.AlterField("triggercall", "cancel_requested_at", models.DateTimeField()),
    ],
    ids=repr,
)
def test_changes_that_would_break_the_old_version_are_found(operation):
    assert explain_harm(operation, MigrationLoader(None).project_state(), "triggers")


@pytest.mark.parametrize(
    "operation",
    [
        migrations.AddField("trigger", "word", field(null=True)),
        migrations.AddField("trigger", "word", field(default="", db_default="")),
        migrations.AlterField("trigger", "name", field(max_length=500)),
    ],
    ids=repr,
)
def test_changes_that_the_old_version_can_ignore_are_allowed(operation):
    assert not explain_harm(operation, MigrationLoader(None).project_state(), "triggers")
