from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("clusters", "0012_given_roles")]

    operations = [
        migrations.AddField(
            model_name="application",
            name="left_images",
            field=models.JSONField(
                blank=True,
                editable=False,
                help_text="The images that were left for a previous one, by service; see triggers.images.left.",
                null=True,
            ),
        ),
        migrations.AddField(
            model_name="service",
            name="image_facts",
            field=models.JSONField(
                blank=True,
                help_text='What that image says about itself: `{"version": "1.4", "revision": "4f1c…", "source": "https://…", '
                '"created": "2026-11-30T09:00:00+00:00"}`, as far as it does.',
                null=True,
            ),
        ),
    ]
