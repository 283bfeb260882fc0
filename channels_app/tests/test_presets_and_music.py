from typing import Any

import pytest
from django.db.models import Model

from channels_app.models import Music, TransformationPreset
from videos_app.models import Video
from ytops.tests import examples
from ytops.tests.refusals import assert_not_storable, problems, refused_by_the_database, said_of

pytestmark = pytest.mark.django_db

TRACK = "4uLU6hMCjMI75M1A2tKUQC"


def preset(**values: Any) -> TransformationPreset:
    return TransformationPreset.objects.create(**{"name": "Short", **values})


def music(**values: Any) -> Music:
    return Music.objects.create(**{"title": "Song", **values})


class TestPresets:
    def test_start_active_and_empty(self) -> None:
        made = preset()
        made.refresh_from_db()
        assert (made.is_active, made.description, made.parameters) == (True, "", {})

    def test_have_a_name_of_their_own(self) -> None:
        preset()
        assert "already exists" in said_of(TransformationPreset(name="Short"), "name")
        with refused_by_the_database():
            preset()
        preset(name="short").full_clean()

    @pytest.mark.parametrize("name", ["", "a" * 101, "a\x00"])
    def test_a_name_out_of_bounds_is_refused(self, name: str) -> None:
        assert said_of(TransformationPreset(name=name), "name")
        assert_not_storable(preset(), name=name)

    def test_a_description_is_as_long_as_it_likes_but_without_nul(self) -> None:
        preset(description="long " * 100_000).full_clean()
        assert said_of(TransformationPreset(name="b", description="a\x00"), "description")
        assert_not_storable(preset(name="c"), description="a\x00b")

    @pytest.mark.parametrize("value", [[], None, "a", 1])
    def test_parameters_are_an_object(self, value: Any) -> None:
        assert said_of(TransformationPreset(name="a", parameters=value), "parameters")
        assert_not_storable(preset(), parameters=value)

    def test_active_leaves_out_the_inactive(self) -> None:
        active = preset()
        preset(name="old", is_active=False)
        assert list(TransformationPreset.objects.active()) == [active]

    def test_are_found_by_their_natural_key(self) -> None:
        made = preset()
        found = TransformationPreset.objects.get_by_natural_key(*made.natural_key())
        assert found == made


class TestMusic:
    def test_needs_a_title_only(self) -> None:
        made = music()
        made.refresh_from_db()
        assert (made.artist, made.spotify_track_id, made.file_path) == ("", None, "")
        assert made.metadata == {}
        assert problems(made) == {}

    def test_is_called_by_artist_and_title(self) -> None:
        assert str(Music(title="Song", artist="Band")) == "Band – Song"
        assert str(Music(title="Song")) == "Song"

    @pytest.mark.parametrize(
        ("field", "text"),
        [
            ("title", ""),
            ("title", "a" * 201),
            ("title", "a\x00"),
            ("artist", "a" * 201),
            ("artist", "a\x00"),
            ("file_path", "a" * 501),
            ("file_path", "a\x00"),
        ],
    )
    def test_a_text_out_of_bounds_is_refused(self, field: str, text: str) -> None:
        assert said_of(Music(**{"title": "Song", field: text}), field)
        assert_not_storable(music(), **{field: text})

    def test_the_longest_texts_are_kept(self) -> None:
        made = music(title="é" * 200, artist="é" * 200, file_path="é" * 500)
        made.full_clean()
        made.refresh_from_db()
        assert len(made.file_path) == 500

    def test_a_spotify_track_is_there_once(self) -> None:
        music(spotify_track_id=TRACK)
        assert said_of(Music(title="b", spotify_track_id=TRACK), "spotify_track_id")
        with refused_by_the_database():
            music(spotify_track_id=TRACK)

    def test_pieces_without_a_spotify_track_are_many(self) -> None:
        for _ in range(3):
            music().full_clean()
        assert Music.objects.filter(spotify_track_id=None).count() == 3

    @pytest.mark.parametrize("text", ["", TRACK[:-1], TRACK + "a", "spotify:track:x"])
    def test_a_spotify_track_id_of_another_length_is_refused(self, text: str) -> None:
        assert "spotify_track_id" in str(problems(Music(title="a", spotify_track_id=text)))
        assert_not_storable(music(), spotify_track_id=text)

    @pytest.mark.parametrize("text", [TRACK[:-1] + "\n", TRACK[:-1] + "-"])
    def test_another_character_is_refused_when_entered(self, text: str) -> None:
        said = said_of(Music(title="a", spotify_track_id=text), "spotify_track_id")
        assert said == "A Spotify track id is 22 letters and digits."

    @pytest.mark.parametrize("value", [[], None, "a", 1])
    def test_metadata_is_an_object(self, value: Any) -> None:
        assert said_of(Music(title="a", metadata=value), "metadata")
        assert_not_storable(music(), metadata=value)

    @pytest.mark.parametrize("track", [TRACK, None])
    def test_is_found_by_its_natural_key(self, track: str | None) -> None:
        made = music(spotify_track_id=track)
        assert Music.objects.get_by_natural_key(*made.natural_key()) == made


@pytest.mark.parametrize("model", [TransformationPreset, Music])
def test_deleting_it_keeps_the_video_and_empties_the_reference(model: type[Model]) -> None:
    rows = examples.one_of_each()
    assert list(rows[model].videos.all()) == [rows[Video]]
    rows[model].delete()
    video = Video.objects.get()
    assert (video.preset is None, video.music is None) == (
        model is TransformationPreset,
        model is Music,
    )
