from django import template

from ytops.admin.display import pill

register = template.Library()
register.simple_tag(pill)
