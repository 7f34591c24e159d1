import string
from datetime import UTC, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstfault.collection.dates import moment
from firstfault.collection.filters import (
    And,
    AnyOf,
    Compare,
    Filter,
    Not,
    Or,
    admits,
    check,
    parse_where,
    render,
)
from firstfault.errors import InputError

FIELDS = st.one_of(
    st.sampled_from(["kind", "year", "a.b", "x-y", "größe"]),
    st.sampled_from(["and", "IN", "two words", "1st", 'quote"d']),
)
DATES = st.one_of(
    st.dates().map(str),
    st.datetimes(timezones=st.sampled_from([None, UTC, timezone(timedelta(hours=5))])).map(
        lambda at: at.isoformat(timespec="milliseconds")
    ),
    st.sampled_from(["2024-01-31", "2024-01-31T00:00Z", "2024-01-31T01:00:00+01:00", "2024-13-01", "2024"]),
)
TEXTS = st.one_of(st.text(max_size=12), DATES)
NUMBERS = st.one_of(st.integers(-(10**6), 10**6), st.floats(allow_nan=False, allow_infinity=False, width=64))
SCALARS = st.one_of(TEXTS, NUMBERS, st.booleans())
COMPARISONS = st.one_of(
    st.builds(lambda f, v: Compare(field=f, operator="=", value=v), FIELDS, SCALARS),
    st.builds(
        lambda f, o, v: Compare(field=f, operator=o, value=v),
        FIELDS,
        st.sampled_from(["<", "<=", ">", ">="]),
        st.one_of(NUMBERS, DATES.filter(lambda text: moment(text) is not None)),
    ),
    st.builds(
        lambda f, v: AnyOf(field=f, values=tuple(v)), FIELDS, st.lists(SCALARS, min_size=1, max_size=4)
    ),
)


def _several(parts: st.SearchStrategy[Filter]) -> st.SearchStrategy[tuple[Filter, ...]]:
    return st.lists(parts, min_size=2, max_size=3).map(tuple)


FILTERS: st.SearchStrategy[Filter] = st.recursive(
    COMPARISONS,
    lambda inner: st.one_of(
        st.builds(lambda part: Not(part=part), inner),
        st.builds(lambda parts: And(parts=parts), _several(inner)),
        st.builds(lambda parts: Or(parts=parts), _several(inner)),
    ),
    max_leaves=8,
)
METADATA = st.dictionaries(FIELDS, st.one_of(SCALARS, st.lists(SCALARS, max_size=3)), max_size=4)


def admitted(where: str, **metadata: object) -> bool:
    return admits(parse_where(where), metadata)  # type: ignore[arg-type]


@given(FILTERS)
def test_a_rendered_filter_reads_back_the_same(where: Filter) -> None:
    assert parse_where(render(where)) == where


@given(FILTERS, METADATA)
def test_not_admits_the_complement(where: Filter, metadata: dict[str, object]) -> None:
    assert admits(Not(part=where), metadata) is not admits(where, metadata)  # type: ignore[arg-type]


@given(st.text(alphabet=string.printable, max_size=40))
def test_any_text_is_read_or_refused_with_a_position(text: str) -> None:
    try:
        where = parse_where(text)
    except InputError as error:
        said = error.message
    else:
        said = ""
        assert parse_where(render(where)) == where
    assert not said or "at character" in said or "at its end" in said


def test_the_example_of_the_documentation() -> None:
    where = 'kind = "function" and (year >= 2020 or not lang in ("de", "fr"))'
    assert admitted(where, kind="function", year=2021, lang="de")
    assert admitted(where, kind="function", year=2019, lang="en")
    assert not admitted(where, kind="function", year=2019, lang=["en", "fr"])
    assert not admitted(where, kind="class", year=2021)


def test_and_binds_closer_than_or_and_keywords_have_no_case() -> None:
    assert parse_where("a = 1 OR b = 2 AND c = 3") == parse_where("a = 1 or (b = 2 and c = 3)")
    assert parse_where("NOT a = 1 and b = 2") == parse_where("(not a = 1) and b = 2")


def test_the_ways_to_write_inequality_and_exclusion() -> None:
    assert parse_where("a != 1") == parse_where("a <> 1") == parse_where("not a = 1")
    assert parse_where("a not in (1, 2)") == parse_where("not a in (1, 2)")
    assert parse_where("a == 1") == parse_where("a = 1")


def test_quotes_escapes_and_odd_names() -> None:
    assert admitted(r"""say = "she said \"no\" \\" """, say='she said "no" \\')
    assert admitted("say = 'it\\'s'", say="it's")
    assert admitted("`my field` = true", **{"my field": True})
    assert not admitted("flag = 1", flag=True)
    assert admitted("n = -1.5e2", n=-150)


def test_a_list_matches_when_one_of_its_values_does() -> None:
    assert admitted('tag = "b"', tag=["a", "b"])
    assert admitted("n > 5", n=[1, 9])
    assert not admitted('tag = "b"', tag=[])


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("", "expected the name of a field, at its end"),
        ("kind", "expected =, !=, <, <=, >, >= or in, at its end"),
        ("kind = function", "text stands in quotes: \"function\", at character 8, 'function'"),
        ('kind = "x', "this quote is not closed, at character 8"),
        ("(a = 1", "expected ')', at its end"),
        ("a = 1)", "expected 'and', 'or' or the end, at character 6, ')'"),
        ("a = 1 b = 2", "expected 'and', 'or' or the end, at character 7"),
        ('year >= "2020"', "'>=' needs a number, or a date such as \"2024-01-31\", at character 9"),
        ("ok < true", "'<' needs a number, or a date"),
        ("a in ()", "expected a value, at character 7"),
        ("a in 3", "expected '(' after 'in', at character 6"),
        ("a = 1 and", "expected the name of a field, at its end"),
        ("a ~ 3", "'~' has no meaning here, at character 3"),
        ("n = 1e999", "this number is too large, at character 5"),
        ("not " * 100 + "a = 1", "more than 40 levels inside one another"),
        ("(" * 3000 + "a = 1" + ")" * 3000, "more than 40 levels inside one another"),
    ],
)
def test_what_cannot_be_read_is_refused_and_its_place_named(where: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_where(where)
    assert said in caught.value.message
    assert 'kind = "function"' in caught.value.hint


def test_an_endless_filter_is_refused() -> None:
    with pytest.raises(InputError, match="at most 10,000"):
        parse_where("a = 1 and " * 2000 + "a = 1")


def test_an_unknown_field_is_refused_with_a_suggestion() -> None:
    with pytest.raises(InputError, match="No document has the field 'yaer'") as caught:
        check(parse_where("yaer = 3"), {"year": {"number"}, "kind": {"text"}})
    assert caught.value.hint == "Did you mean 'year'? There are: kind, year."
    with pytest.raises(InputError, match="No document has metadata"):
        check(parse_where("year = 3"), {})


@pytest.mark.parametrize("where", ['year = "2020"', "kind = 3", "kind > 3", "ok = 1", 'year in (3, "4")'])
def test_a_value_of_another_kind_is_refused(where: str) -> None:
    with pytest.raises(InputError, match=r"The field '\w+' holds (text|number|boolean) values"):
        check(parse_where(where), {"year": {"number"}, "kind": {"text"}, "ok": {"boolean"}})


def test_a_field_of_two_kinds_takes_values_of_both() -> None:
    known: dict[str, set[str]] = {"year": {"number", "text"}}
    check(parse_where('year = "c. 1900" or year > 1900'), known)  # type: ignore[arg-type]


def test_dates_have_an_order_whatever_their_form() -> None:
    assert admitted('published >= "2024-01-01"', published="2024-01-01")
    assert admitted('published > "2024-01-01"', published="2024-01-01T00:00:01")
    assert not admitted('published < "2024-01-01"', published="2024-01-01T00:30+00:00")
    assert admitted('published < "2024-01-01"', published="2024-01-01T00:30+01:00")
    assert not admitted('published >= "2024-01-01"', published="last year")
    assert not admitted('published >= "2024-01-01"', published=2024)
    assert not admitted('published = "2024-01-01"', published="2024-01-01T00:00")  # texts as they stand
    assert admitted('seen < "2020-01-01"', seen=["2024-05-05", "2019-12-31"])


def test_a_field_without_a_date_is_not_compared_to_one() -> None:
    known: dict[str, set[str]] = {"published": {"text", "date"}, "kind": {"text"}, "year": {"number"}}
    check(parse_where('published >= "2024-01-01" and published != "soon"'), known)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="'kind' holds text values, and \"2024-01-01\" is a date") as caught:
        check(parse_where('kind < "2024-01-01"'), known)  # type: ignore[arg-type]
    assert "YYYY-MM-DD" in caught.value.hint
    with pytest.raises(InputError, match="'year' holds number values"):
        check(parse_where('year < "2024-01-01"'), known)  # type: ignore[arg-type]
