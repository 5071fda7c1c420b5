from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('triggers', '0015_notifications'),
    ]

    operations = [
        migrations.AddField(
            model_name='triggercall',
            name='built_from',
            field=models.JSONField(blank=True, help_text='The commit that the caller named: `{"commit": …, "repository": …}`, as far as named.', null=True),
        ),
        migrations.AlterField(
            model_name='notification',
            name='news',
            field=models.CharField(choices=[('failed', 'Failed or rolled back'), ('works_again', 'Works again'), ('succeeded', 'Succeeded'), ('over_most', 'Wants more than the most'), ('queue_full', 'Queue full'), ('crashing', 'Crashes or is unhealthy'), ('cluster_away', 'Cluster unreachable'), ('cluster_back', 'Cluster reachable again'), ('registry_away', 'Registry cannot be polled'), ('link_expires', 'Link about to expire'), ('sign_in_lock', 'Sign-in locked'), ('commit_status', 'Commit status'), ('test', 'Test')], max_length=16),
        ),
        migrations.CreateModel(
            name='Episode',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('cluster', 'Cluster that does not answer'), ('application', 'Application with failing containers or tasks'), ('registry', 'Registry that cannot be polled'), ('expiry', 'Link that is about to expire')], max_length=16)),
                ('subject', models.CharField(help_text="The id of the row that it is about, or a registry's host.", max_length=255)),
                ('began_at', models.DateTimeField(help_text='When it was first seen, after a time without watchers again.')),
                ('seen_at', models.DateTimeField(help_text='When it was last seen.')),
                ('told_at', models.DateTimeField(help_text='When it was reported.', null=True)),
            ],
            options={
                'default_permissions': (),
                'constraints': [models.UniqueConstraint(fields=('kind', 'subject'), name='one_episode_a_subject')],
            },
        ),
    ]
