from django import template

from ytops.admin.dates import drill_down
from ytops.admin.display import pill

register = template.Library()
register.simple_tag(pill)
register.inclusion_tag("admin/date_hierarchy.html")(drill_down)
