from django.contrib import admin

from stats_app.models import ChannelStatistics, VideoStatistics
from ytops.admin.base import ReadOnlyAdmin


@admin.register(ChannelStatistics)
class ChannelStatisticsAdmin(ReadOnlyAdmin[ChannelStatistics]):
    list_display = ("timestamp", "channel", "subscriber_count", "view_count", "video_count")
    list_filter = ("channel", "timestamp")
    list_select_related = ("channel",)
    date_hierarchy = "timestamp"
    search_fields = ("channel__name",)


@admin.register(VideoStatistics)
class VideoStatisticsAdmin(ReadOnlyAdmin[VideoStatistics]):
    list_display = ("timestamp", "video", "view_count", "like_count", "comment_count")
    list_filter = ("timestamp", "video__channel")
    list_select_related = ("video",)
    date_hierarchy = "timestamp"
    search_fields = ("video__youtube_video_id__exact",)
    search_help_text = "A YouTube video id."
