from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("triggers", "0010_refused_calls")]

    operations = [
        migrations.AddField(
            model_name="triggercall",
            name="start_stopped",
            field=models.BooleanField(
                blank=True, help_text="A redeploy also starts what was stopped in Windlass.", null=True
            ),
        ),
    ]
