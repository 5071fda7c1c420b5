from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('clusters', '0007_audit_counts'),
    ]

    operations = [
        migrations.AddField(
            model_name='registry',
            name='clear_text',
            field=models.BooleanField(db_default=False, default=False, help_text='Plain HTTP to another machine: credentials, tokens and the names of images can be read on the network.', verbose_name='sent in clear'),
        ),
    ]
