from typing import Any

from django.http import HttpRequest

from settings_app.display import layer_in_words
from settings_app.layers import explain_row
from settings_app.models import ConfigurationChange, SystemConfiguration
from ytops.admin.panels import object_panel

SHOWN = 20
VIEW = "settings_app.view_systemconfiguration"
NOWHERE = {"file": "no file: YTOPS_CONFIG_FILE is not set", "default": "the declaration"}


@object_panel(SystemConfiguration, "Where the value comes from", "settings_app/layers.html", VIEW)
def layers(request: HttpRequest, row: SystemConfiguration) -> dict[str, Any] | None:
    explanation = explain_row(row)
    if explanation is None:
        return None
    return {
        "layers": [
            {
                "source": layer.source,
                "where": layer.where or NOWHERE[layer.source],
                "value": layer_in_words(layer, 1000),
                "error": layer.error,
                "holds": layer is explanation.winner and layer.is_set,
            }
            for layer in explanation.layers
            if layer.source != "channel"
        ]
    }


@object_panel(SystemConfiguration, "History of the setting", "settings_app/history.html", VIEW)
def history(request: HttpRequest, row: SystemConfiguration) -> dict[str, Any]:
    changes = ConfigurationChange.objects.filter(key=row.key)[:SHOWN]
    of = [(c.channel_name or c.channel_id or "the system", c) for c in changes]
    return {"column": "For", "changes": of}
