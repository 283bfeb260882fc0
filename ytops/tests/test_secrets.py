import pytest

from channels_app.models import Channel


@pytest.mark.django_db
def test_credentials_come_back() -> None:
    channel = Channel.objects.create(name="Cooking", credentials={"a": 1})
    channel.refresh_from_db()
    assert channel.credentials.reveal() == {"a": 1}
    assert str(channel.credentials) == "********"
