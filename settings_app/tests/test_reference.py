from settings_app import reference
from settings_app.registry import registered

MAKE = "run: python -m settings_app.reference"


def test_the_page_of_the_settings_is_up_to_date() -> None:
    assert reference.PAGE.read_text(encoding="utf-8") == reference.page(), MAKE


def test_the_example_of_the_environment_is_up_to_date() -> None:
    present = reference.EXAMPLE.read_text(encoding="utf-8")
    assert present == reference.example(present), MAKE


def test_both_name_every_setting() -> None:
    for setting in registered().values():
        assert f"#{setting.environment_name}=" in reference.example("")
        assert setting.key in reference.page()
