import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('channels_app', '0002_check_channel_filters'),
        ('videos_app', '0001_create_videos'),
    ]

    operations = [
        migrations.AlterField(
            model_name='video',
            name='channel',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='videos', to='channels_app.channel'),
        ),
        migrations.AddIndex(
            model_name='video',
            index=models.Index(condition=models.Q(('published_at__isnull', False)), fields=['channel', 'published_at'], name='videos_by_publication'),
        ),
    ]
