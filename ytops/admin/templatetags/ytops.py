import re

from django import template
from django.template.defaultfilters import stringfilter
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from ytops.admin.dates import drill_down
from ytops.admin.display import pill

register = template.Library()
register.simple_tag(pill)
register.inclusion_tag("admin/date_hierarchy.html")(drill_down)


@register.filter
@stringfilter
def breakable(name: str) -> SafeString:
    """A key or a variable that may go on in the next line between its words."""
    return format_html_join("", "{}<wbr>", ((word,) for word in re.findall(r"[^._]*[._]?", name)))
