"""How times look: 24 hours, and always with their zone, so that UTC is not read as local."""

DATE_FORMAT = "j M Y"
TIME_FORMAT = "H:i T"
DATETIME_FORMAT = "j M Y, H:i T"
