from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("clusters", "0008_registry_clear_text")]

    operations = [
        migrations.AddField(
            model_name="application",
            name="left_stopped",
            field=models.JSONField(
                blank=True,
                editable=False,
                help_text="The containers as the last Stop left them; see triggers.run.stop_records.",
                null=True,
            ),
        ),
    ]
