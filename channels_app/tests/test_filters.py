from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.test import Client
from hypothesis import given, settings
from hypothesis import strategies as st

from channels_app.filters import KEYS, LIMITS, refusal, validate_filters
from ytops.db.strict_json import Unreadable
from ytops.tests.admin_client import inputs, opened, post, words
from ytops.tests.examples import channel

VIDEO = {"duration_seconds": 45, "width": 1080, "height": 1920, "views_at_source": 1000}


def said(value: Any) -> str:
    try:
        validate_filters(value)
    except ValidationError as error:
        return " ".join(error.messages)
    return ""


@pytest.mark.parametrize(
    "filters",
    [
        {},
        {"min_views": 0},
        {"min_duration_seconds": 15, "max_duration_seconds": 15},
        {"title_excludes": []},
        {"title_excludes": ["giveaway", "#ad", "part 2"]},
        dict.fromkeys(LIMITS, 10**20) | {"title_excludes": ["a"]},
    ],
    ids=str,
)
def test_are_taken(filters: Any) -> None:
    assert said(filters) == ""


class TestRefused:
    @pytest.mark.parametrize("number", [-1, 15.0, "15", None, True, [15], {}, 1e30])
    @pytest.mark.parametrize("key", LIMITS)
    def test_a_limit(self, key: str, number: Any) -> None:
        assert said({key: number}) == f'"{key}" must be a whole number, 0 or more.'

    @pytest.mark.parametrize("found", ["giveaway", None, {"a": 1}, 3, [""], ["a", " \t"], ["a", 3]])
    def test_words(self, found: Any) -> None:
        assert '"title_excludes" must be a list of words' in said({"title_excludes": found})

    def test_a_minimum_above_its_maximum(self) -> None:
        limits = {"min_duration_seconds": 91, "max_duration_seconds": 90}
        assert said(limits) == '"min_duration_seconds" is above "max_duration_seconds".'

    @pytest.mark.parametrize(
        ("key", "message"),
        [
            ("min_duration", 'Did you mean "min_duration_seconds"?'),
            ("Min_Width", 'Did you mean "min_width"?'),
            ("title_exclude", 'Did you mean "title_excludes"?'),
            ("colour", '"colour" is no key of the filters; known: min_duration_seconds, min_width'),
        ],
    )
    def test_an_unknown_key(self, key: str, message: str) -> None:
        assert message in said({key: 1})

    def test_every_problem_at_once(self) -> None:
        message = said(
            {
                **{"min_duration_seconds": 2, "max_duration_seconds": 1, "min_views": -1},
                **{"title_excludes": "a", "colour": "red"},
            }
        )
        for part in ("is above", '"min_views" must', '"title_excludes" must', '"colour" is no key'):
            assert part in message


class TestAVideo:
    @pytest.mark.parametrize(
        "filters",
        [
            {},
            {"min_duration_seconds": 45, "max_duration_seconds": 45},
            {"min_width": 1080, "min_height": 1920, "min_views": 1000},
        ],
        ids=str,
    )
    def test_at_its_limits_qualifies(self, filters: Any) -> None:
        assert refusal(filters, "A pie", VIDEO) is None

    @pytest.mark.parametrize(
        ("key", "limit", "reason"),
        [
            ("min_duration_seconds", 46, "duration of 45 s is under"),
            ("max_duration_seconds", 44, "duration of 45 s is over"),
            ("min_width", 1081, "width of 1080 px is under"),
            ("min_height", 1921, "height of 1920 px is under"),
            ("min_views", 1001, "view count of 1000 is under"),
        ],
    )
    def test_beyond_a_limit_is_refused_with_the_numbers(
        self, key: str, limit: int, reason: str
    ) -> None:
        expected = f"its {reason} the channel's {key} {limit}"
        assert refusal({key: limit}, "A pie", VIDEO) == expected

    def test_a_fraction_counts(self) -> None:
        told = refusal({"max_duration_seconds": 60}, "A pie", {"duration_seconds": 60.5})
        assert told == "its duration of 60.5 s is over the channel's max_duration_seconds 60"

    @pytest.mark.parametrize(
        "number", ["45", None, True, [45], -1, float("nan"), float("inf"), {"seconds": 45}]
    )
    def test_of_a_number_that_is_none_is_refused(self, number: Any) -> None:
        both = {"min_duration_seconds": 0, "max_duration_seconds": 90}
        assert refusal(both, "A pie", {"duration_seconds": number}) == "its duration is not known"

    @pytest.mark.parametrize("metadata", [{}, None, [], Unreadable('{"width": 1'), {"Width": 9}])
    def test_of_metadata_without_the_number_is_refused(self, metadata: Any) -> None:
        assert refusal({"min_width": 0}, "A pie", metadata) == "its width is not known"
        assert refusal({}, "A pie", metadata) is None

    def test_gets_every_reason(self) -> None:
        filters = {"min_duration_seconds": 60, "min_views": 5, "title_excludes": ["pie", "cake"]}
        assert refusal(filters, "A pie", {"duration_seconds": 12}) == (
            "its duration of 12 s is under the channel's min_duration_seconds 60; "
            "its view count is not known; "
            'its title has "pie", which is in the channel\'s title_excludes'
        )


class TestAWord:
    @pytest.mark.parametrize(
        ("word", "title"),
        [
            ("giveaway", "GIVEAWAY!"),
            ("straße", "Die STRASSE"),
            ("café", "Cafe\u0301 in Paris"),
            ("giveaway", "𝗚𝗜𝗩𝗘𝗔𝗪𝗔𝗬 today"),
            ("ad", "This is an #ad"),
            ("#ad", "This is an #AD."),
            ("c++", "C++, explained"),
            ("c++", "C++20"),
            (" part  2 ", "The wagon, part\n2: it fights back"),
            ("🔧", "It fights back🔧"),
            ("a.c", "a.c"),
        ],
    )
    def test_in_the_title_is_refused(self, word: str, title: str) -> None:
        told = refusal({"title_excludes": ["unrelated", word]}, title, {})
        assert told == f'its title has "{word}", which is in the channel\'s title_excludes'

    @pytest.mark.parametrize(
        ("word", "title"),
        [
            ("ad", "A salad, ready to ad_lib"),
            ("#ad", "Keep #adding"),
            ("ad#", "salad#"),
            ("giveaway", "Giveaways"),
            ("cafe", "Café in Paris"),
            ("part 2", "part 21"),
            ("a.c", "abc"),
            ("pie", ""),
        ],
    )
    def test_within_another_or_not_there_is_not(self, word: str, title: str) -> None:
        assert refusal({"title_excludes": [word]}, title, {}) is None


@pytest.mark.parametrize(
    ("filters", "reason"),
    [
        ({"min_with": 720}, 'filters are wrong: "min_with" is no key'),
        ({"min_width": "720"}, 'filters are wrong: "min_width" must be a whole number'),
        ({"title_excludes": [3]}, "filters are wrong"),
        (Unreadable('{"min_width": 1'), "filters are no object"),
    ],
)
def test_filters_that_are_wrong_let_nothing_through(filters: Any, reason: str) -> None:
    told = refusal(filters, "A pie", VIDEO)
    assert told
    assert reason in told


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*KEYS, *VIDEO]) | st.text(), inner, max_size=3)
    ),
    max_leaves=10,
)


@settings(max_examples=60, deadline=None)
@given(JSON, st.text(), JSON)
def test_whatever_a_row_holds_qualifies_or_is_refused_and_breaks_nothing(
    filters: Any, title: str, metadata: Any
) -> None:
    told = refusal(filters, title, metadata)
    if said(filters):
        assert told


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_video_qualifies_exactly_if_each_number_is_within_its_limit(data: st.DataObject) -> None:
    small = st.integers(0, 20)
    filters = data.draw(st.dictionaries(st.sampled_from(list(LIMITS)), small))
    metadata = data.draw(st.fixed_dictionaries({}, optional=dict.fromkeys(VIDEO, small)))
    least, most = filters.get("min_duration_seconds", 0), filters.get("max_duration_seconds", 20)
    if least > most:
        del filters["min_duration_seconds"]
    within = all(
        LIMITS[key].key in metadata
        and (metadata[LIMITS[key].key] - limit) * (-1 if key.startswith("max") else 1) >= 0
        for key, limit in filters.items()
    )
    assert (refusal(filters, "A pie", metadata) is None) == within


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ('{"min_duration": 15}', 'Did you mean "min_duration_seconds"?'),
        ('{"min_views": "many"}', '"min_views" must be a whole number'),
        ('{"\\ud800": 1}', "U+D800"),
    ],
)
def test_a_wrong_filter_is_named_beside_its_field(
    typed: str, message: str, page_of: Client
) -> None:
    row = channel()
    refused = post(page_of, row, opened(page_of, row), filters=typed)
    html = refused.content.decode()
    beside = html.partition('class="form-row errors field-filters"')[2].partition("</fieldset>")[0]
    assert message in words(beside)
    assert inputs(html)["filters"] == typed
    row.refresh_from_db()
    assert row.filters == {}


def test_right_filters_are_saved(page_of: Client) -> None:
    row = channel()
    typed = '{"min_duration_seconds": 15, "title_excludes": ["giveaway"]}'
    assert post(page_of, row, opened(page_of, row), filters=typed).status_code == 302
    row.refresh_from_db()
    assert row.filters == {"min_duration_seconds": 15, "title_excludes": ["giveaway"]}
