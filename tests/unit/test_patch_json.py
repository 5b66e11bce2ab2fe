"""JSON Patch: the operations of RFC 6902 with its own examples, and what must be refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import BadRequest, TooLarge, Unprocessable
from service.fhir import json
from service.fhir.patch import JsonPatch, changed

# RFC 6902, appendix A: (document, patch, result); a result of None is a patch that cannot be applied.
APPENDIX = [
    ({"foo": "bar"}, [{"op": "add", "path": "/baz", "value": "qux"}], {"foo": "bar", "baz": "qux"}),
    ({"foo": ["bar", "baz"]}, [{"op": "add", "path": "/foo/1", "value": "qux"}], {"foo": ["bar", "qux", "baz"]}),
    ({"baz": "qux", "foo": "bar"}, [{"op": "remove", "path": "/baz"}], {"foo": "bar"}),
    ({"foo": ["bar", "qux", "baz"]}, [{"op": "remove", "path": "/foo/1"}], {"foo": ["bar", "baz"]}),
    ({"baz": "qux"}, [{"op": "replace", "path": "/baz", "value": "boo"}], {"baz": "boo"}),
    (
        {"foo": {"bar": "baz", "waldo": "fred"}, "qux": {"corge": "grault"}},
        [{"op": "move", "from": "/foo/waldo", "path": "/qux/thud"}],
        {"foo": {"bar": "baz"}, "qux": {"corge": "grault", "thud": "fred"}},
    ),
    (
        {"foo": ["all", "grass", "cows", "eat"]},
        [{"op": "move", "from": "/foo/1", "path": "/foo/3"}],
        {"foo": ["all", "cows", "eat", "grass"]},
    ),
    (
        {"baz": "qux", "foo": ["a", 2, "c"]},
        [{"op": "test", "path": "/baz", "value": "qux"}, {"op": "test", "path": "/foo/1", "value": 2}],
        {"baz": "qux", "foo": ["a", 2, "c"]},
    ),
    ({"baz": "qux"}, [{"op": "test", "path": "/baz", "value": "bar"}], None),
    (
        {"foo": "bar"},
        [{"op": "add", "path": "/child", "value": {"grandchild": {}}}],
        {"foo": "bar", "child": {"grandchild": {}}},
    ),
    ({"foo": "bar"}, [{"op": "add", "path": "/baz", "value": "qux", "xyz": 123}], {"foo": "bar", "baz": "qux"}),
    ({"foo": "bar"}, [{"op": "add", "path": "/baz/bat", "value": "qux"}], None),
    ({"/": 9, "~1": 10}, [{"op": "test", "path": "/~01", "value": 10}], {"/": 9, "~1": 10}),
    ({"/": 9, "~1": 10}, [{"op": "test", "path": "/~01", "value": "10"}], None),
    ({"foo": ["bar"]}, [{"op": "add", "path": "/foo/-", "value": ["abc"]}], {"foo": ["bar", ["abc"]]}),
    ({"a": {"b": [1]}}, [{"op": "copy", "from": "/a", "path": "/c"}], {"a": {"b": [1]}, "c": {"b": [1]}}),
    ({"a": 1}, [{"op": "test", "path": "", "value": {"a": 1}}], {"a": 1}),
    ({"a": 1}, [{"op": "replace", "path": "", "value": {"b": 2}}], {"b": 2}),
]


@pytest.mark.parametrize(("document", "patch", "result"), APPENDIX)
def test_patch_applies_as_the_rfc_shows(document: Any, patch: Any, result: Any) -> None:
    if result is None:
        with pytest.raises(Unprocessable):
            JsonPatch.read(patch).apply(document)
    else:
        assert JsonPatch.read(patch).apply(document) == result


@pytest.mark.parametrize(
    "path", ["/a/01", "/a/1e0", "/a/-1", "/a/2", "/a/-", "/b", "/a/0/x", f"/a/{'9' * 5000}", "/a/٠"]
)
@pytest.mark.parametrize("op", ["remove", "replace", "test"])
def test_patch_of_what_is_not_there_is_refused(path: str, op: str) -> None:
    with pytest.raises(Unprocessable) as error:
        JsonPatch.read([{"op": op, "path": path, "value": 1}]).apply({"a": [1, 2]})
    rule = "patch-test-failed" if op == "test" else "patch-path-missing"
    assert error.value.issues[0].rule == rule
    assert error.value.issues[0].text.startswith(f"Operation 0 ({op})")


def test_malformed_patch_names_every_operation() -> None:
    patch = [
        {"op": "add", "path": "/a", "value": None},
        {"op": "jump", "path": "/a"},
        {"op": "add", "path": "/a"},
        {"op": "remove", "path": "a"},
        {"op": "remove", "path": "/~2"},
        {"op": "move", "from": "/a", "path": "/a/b"},
        {"op": "copy", "path": "/a"},
        {"op": ["add"], "path": "/a"},
        "add",
    ]
    with pytest.raises(BadRequest) as error:
        JsonPatch.read(patch)
    assert [issue.text.partition(":")[0] for issue in error.value.issues] == [f"Operation {n}" for n in range(1, 9)]
    for document in ({}, None, "x", [{"op": "remove", "path": "/a"}] * 1001):
        with pytest.raises(BadRequest):
            JsonPatch.read(document)


def test_test_compares_numbers_by_value_and_knows_that_true_is_no_number() -> None:
    document = json.decode(b'{"a":1.00,"b":true,"c":[{"d":1e2}]}')
    good = json.decode(
        b'[{"op":"test","path":"/a","value":1},{"op":"test","path":"/c","value":[{"d":100}]},'
        b'{"op":"test","path":"/b","value":true}]'
    )
    assert JsonPatch.read(good).apply(document) == document
    for path, value in (("/a", True), ("/b", 1), ("/b", "true"), ("/c", {"d": 100})):
        with pytest.raises(Unprocessable):
            JsonPatch.read([{"op": "test", "path": path, "value": value}]).apply(document)


def test_decimals_keep_their_digits() -> None:
    patch = json.decode(b'[{"op":"add","path":"/b","value":{"c":2.50}},{"op":"copy","from":"/a","path":"/d"}]')
    result = JsonPatch.read(patch).apply(json.decode(b'{"a":1.00,"e":1e2}'))
    assert json.encode(result) == b'{"a":1.00,"e":1e2,"b":{"c":2.50},"d":1.00}'


def test_patch_can_be_applied_twice() -> None:
    patch = JsonPatch.read(
        [{"op": "add", "path": "/a", "value": {"b": []}}, {"op": "add", "path": "/a/b/-", "value": 1}]
    )
    assert patch.apply({}) == patch.apply({}) == {"a": {"b": [1]}}


def test_patch_that_grows_or_nests_without_end_is_refused() -> None:
    doubling = [{"op": "copy", "from": "", "path": f"/{index}"} for index in range(60)]
    with pytest.raises(TooLarge):
        JsonPatch.read(doubling).apply({"a": "x" * 1000})
    nesting = [{"op": "add", "path": "/a", "value": {}}]
    for _ in range(900):
        nesting += [{"op": "move", "from": "/a", "path": "/b"}, {"op": "add", "path": "/a", "value": {}}]
        nesting += [{"op": "move", "from": "/b", "path": "/a/b"}]
    resource = {"resourceType": "Basic", "id": "a"}
    result = changed(JsonPatch(JsonPatch.read(nesting[:999]).steps), resource)
    with pytest.raises(BadRequest):
        json.check_depth(result, 64)


@pytest.mark.parametrize("path", ["/resourceType", "/id", ""])
def test_patch_keeps_type_and_id(path: str) -> None:
    for operation in ({"op": "replace", "path": path, "value": "x"}, {"op": "remove", "path": path}):
        with pytest.raises(Unprocessable) as error:
            changed(JsonPatch.read([operation]), {"resourceType": "Patient", "id": "a"})
        assert error.value.issues[0].rule == "patch-identity"


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=5)
    | st.decimals(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=3), values, min_size=1, max_size=4), values)
def test_add_then_test_then_remove_restores_the_document(document: dict[str, Any], value: Any) -> None:
    key = "new~/key"
    pointer = "/new~0~1key"
    patch = [
        {"op": "add", "path": pointer, "value": value},
        {"op": "test", "path": pointer, "value": value},
        {"op": "remove", "path": pointer},
    ]
    before = dict(document)
    assert key not in document
    assert JsonPatch.read(patch).apply(document) == before


def test_errors_tell_no_value() -> None:
    with pytest.raises(Unprocessable) as error:
        JsonPatch.read([{"op": "test", "path": "/name", "value": "Secret"}]).apply({"name": "Hidden"})
    assert "Secret" not in str(error.value)
    assert "Hidden" not in str(error.value)
