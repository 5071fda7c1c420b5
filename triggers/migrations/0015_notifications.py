import clusters.encryption
import django.db.models.deletion
import triggers.models.notification
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('clusters', '0012_given_roles'),
        ('triggers', '0014_call_evidence'),
    ]

    operations = [
        migrations.CreateModel(
            name='NotificationChannel',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=64, unique=True)),
                ('kind', models.CharField(choices=[('mail', 'Mail'), ('slack', 'Slack'), ('teams', 'Microsoft Teams'), ('discord', 'Discord'), ('mattermost', 'Mattermost'), ('telegram', 'Telegram'), ('ntfy', 'ntfy'), ('gotify', 'Gotify'), ('webhook', 'Webhook'), ('commit', 'Commit status')], max_length=12)),
                ('configuration', clusters.encryption.EncryptedTextField(default='{}', editable=False, help_text='A JSON object, stored encrypted.')),
                ('enabled', models.BooleanField(default=True)),
                ('off_reason', models.CharField(blank=True, default='', editable=False, help_text='Why Windlass itself has turned it off.', max_length=500)),
                ('off_at', models.DateTimeField(blank=True, editable=False, null=True)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('lease_owner', models.CharField(blank=True, default='', editable=False, max_length=64)),
                ('lease_expires_at', models.DateTimeField(blank=True, editable=False, null=True)),
            ],
            options={
                'ordering': ['name'],
            },
        ),
        migrations.CreateModel(
            name='Notification',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('webhook_id', models.CharField(default=triggers.models.notification.make_webhook_id, editable=False, max_length=40, unique=True)),
                ('news', models.CharField(choices=[('failed', 'Failed or rolled back'), ('works_again', 'Works again'), ('succeeded', 'Succeeded'), ('over_most', 'Wants more than the most'), ('queue_full', 'Queue full'), ('crashing', 'Crashes or is unhealthy'), ('cluster_away', 'Cluster unreachable'), ('cluster_back', 'Cluster reachable again'), ('registry_away', 'Registry cannot be polled'), ('link_expires', 'Link about to expire'), ('sign_in_lock', 'Sign-in locked'), ('test', 'Test')], max_length=16)),
                ('recorded_at', models.DateTimeField()),
                ('group', models.CharField(help_text='News with the same one are equal: what they are about, as a digest.', max_length=64)),
                ('facts', models.JSONField(default=dict)),
                ('application', models.ForeignKey(blank=True, db_constraint=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='clusters.application')),
                ('call', models.ForeignKey(blank=True, db_constraint=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='notifications', to='triggers.triggercall')),
                ('cluster', models.ForeignKey(blank=True, db_constraint=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='clusters.cluster')),
            ],
            options={
                'ordering': ['-pk'],
                'default_permissions': (),
                'indexes': [models.Index(fields=['recorded_at'], name='notification_by_time')],
            },
        ),
        migrations.CreateModel(
            name='NotificationDelivery',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('status', models.CharField(choices=[('waiting', 'Waiting'), ('delivered', 'Delivered'), ('joined', 'Joined with another'), ('failed', 'Failed'), ('dropped', 'Not sent')], default='waiting', max_length=12)),
                ('count', models.PositiveIntegerField(default=1, help_text='So many news are in this message.')),
                ('is_digest', models.BooleanField(default=False, help_text='The news in this message are not equal.')),
                ('created_at', models.DateTimeField()),
                ('first_attempt_at', models.DateTimeField(blank=True, help_text='When it became a message, or was joined into one.', null=True)),
                ('last_attempt_at', models.DateTimeField(blank=True, null=True)),
                ('next_attempt_at', models.DateTimeField(blank=True, help_text='While it waits.', null=True)),
                ('attempts', models.PositiveIntegerField(default=0)),
                ('answer_status', models.PositiveIntegerField(blank=True, help_text='Of HTTP or SMTP.', null=True)),
                ('answer', models.CharField(blank=True, help_text='Its first characters.', max_length=500)),
                ('problem', models.CharField(blank=True, help_text='Why the last attempt failed, as a sentence.', max_length=500)),
                ('channel', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='deliveries', to='triggers.notificationchannel')),
                ('joined_into', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='joined', to='triggers.notificationdelivery')),
                ('notification', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='deliveries', to='triggers.notification')),
            ],
            options={
                'verbose_name_plural': 'notification deliveries',
                'ordering': ['-pk'],
                'default_permissions': (),
                'indexes': [models.Index(fields=['channel', '-id'], name='notified_by_channel'), models.Index(condition=models.Q(('first_attempt_at__isnull', False)), fields=['channel', 'first_attempt_at'], name='notified_by_attempt'), models.Index(condition=models.Q(('status', 'waiting')), fields=['next_attempt_at'], name='notified_waiting')],
            },
        ),
        migrations.CreateModel(
            name='NotificationRule',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('news', models.CharField(choices=[('failed', 'Failed or rolled back'), ('works_again', 'Works again'), ('succeeded', 'Succeeded'), ('over_most', 'Wants more than the most'), ('queue_full', 'Queue full'), ('crashing', 'Crashes or is unhealthy'), ('cluster_away', 'Cluster unreachable'), ('cluster_back', 'Cluster reachable again'), ('registry_away', 'Registry cannot be polled'), ('link_expires', 'Link about to expire'), ('sign_in_lock', 'Sign-in locked')], max_length=16)),
                ('application', models.ForeignKey(blank=True, db_constraint=False, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='notification_rules', to='clusters.application')),
                ('channel', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='rules', to='triggers.notificationchannel')),
                ('cluster', models.ForeignKey(blank=True, db_constraint=False, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='notification_rules', to='clusters.cluster')),
            ],
            options={
                'ordering': ['pk'],
                'default_permissions': (),
                'indexes': [models.Index(fields=['news'], name='rule_by_news')],
                'constraints': [models.UniqueConstraint(condition=models.Q(('application__isnull', True), ('cluster__isnull', True)), fields=('channel', 'news'), name='one_rule_for_all'), models.UniqueConstraint(condition=models.Q(('cluster__isnull', False)), fields=('channel', 'news', 'cluster'), name='one_rule_a_cluster'), models.UniqueConstraint(condition=models.Q(('application__isnull', False)), fields=('channel', 'news', 'application'), name='one_rule_an_application'), models.CheckConstraint(condition=models.Q(('cluster__isnull', True), ('application__isnull', True), _connector='OR'), name='rule_has_one_place')],
            },
        ),
    ]
