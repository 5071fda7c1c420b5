from django.db import migrations, models

DECISIONS = [
    ("triggered", "Triggered"),
    ("unchanged", "Unchanged"),
    ("left", "Not triggered: left image"),
    ("tag", "Not triggered: tag"),
    ("image", "Not triggered: image"),
    ("duplicate", "Duplicate"),
    ("rejected", "Rejected"),
    ("unsupported", "Unsupported event"),
    ("alert", "Not triggered: alert"),
    ("unreadable", "Not understood"),
    ("bad_signature", "Bad signature"),
    ("refused", "Refused call"),
]


class Migration(migrations.Migration):
    dependencies = [("triggers", "0016_episodes")]

    operations = [
        migrations.AddField(
            model_name="triggercall",
            name="returns_to",
            field=models.JSONField(
                blank=True,
                help_text='A redeploy gives these services the images that they ran before: `{"web": {"reference": "app:1", '
                '"image_id": "sha256:…", "digests": ["app@sha256:…"]}}`.',
                null=True,
            ),
        ),
        migrations.AddIndex(
            model_name="triggercall",
            index=models.Index(
                condition=models.Q(("before__isnull", False)),
                fields=["application", "action", "-queued_at"],
                name="call_that_ran",
            ),
        ),
        migrations.AlterField(
            model_name="delivery",
            name="decision",
            field=models.CharField(choices=DECISIONS, help_text="The most telling one of its lines.", max_length=16),
        ),
        migrations.AlterField(
            model_name="deliveryline",
            name="decision",
            field=models.CharField(choices=DECISIONS, max_length=16),
        ),
    ]
