import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from abstain.recipes.run.yaml_lines import MAX_BYTES, parse_value, parse_yaml, read_yaml, write_yaml


def test_every_key_and_item_has_its_line():
    data, lines = parse_yaml("a: 1\nb:\n  - x: 2\n    y: 3\n  - 4\n", "f")
    assert data == {"a": 1, "b": [{"x": 2, "y": 3}, 4]}
    assert lines == {("a",): 1, ("b",): 2, ("b", 0): 3, ("b", 0, "x"): 3, ("b", 0, "y"): 4, ("b", 1): 5}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5e-6", 5e-6),
        ("1E3", 1000.0),
        ("-2.e-1", -0.2),
        ("5", 5),
        ("true", True),
        ("none", "none"),
        ("", None),
        ("1e", "1e"),
    ],
)
def test_scalars(text, value):
    assert parse_value(text) == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\na: 2", "f:2: 'a' is given twice (first on line 1)"),
        ("x:\n  a: 1\n  a: 2", "f:3: 'a' is given twice (first on line 2)"),
        ("a: &x [1]\nb: *x", "f:2: YAML aliases (*name) are not allowed"),
        ("a: &x [*x]", "YAML aliases"),
        ("a: [1\nb: 2", "f:2: not YAML"),
        ("- 1\n- 2", "f does not hold 'key: value' lines"),
        ("", "f does not hold"),
        ("a: 1\n---\nb: 2", "f:2: not YAML: but found another document"),
        ("a: !!python/object/apply:os.system [id]", "f:1: not YAML: could not determine a constructor"),
        ("a: 2024-13-45", "f: a value cannot be read: month must be in 1..12"),
        ("a: \x00", "f: not YAML"),
        ("{[1]: 2}", "f:1: not YAML: found unhashable key"),
        ("a: " + "[" * 5000, "f: nested too deeply"),
    ],
)
def test_refused_with_the_place(text, message):
    with pytest.raises(ValueError) as error:
        parse_yaml(text, "f")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_alias_bomb_costs_nothing():
    bomb = "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 60))
    start = time.perf_counter()
    with pytest.raises(ValueError, match="aliases"):
        parse_yaml(bomb, "f")
    assert time.perf_counter() - start < 1


def test_too_large_and_not_text(tmp_path):
    big, binary = tmp_path / "big.yaml", tmp_path / "binary.yaml"
    big.write_bytes(b"#" * (MAX_BYTES + 1))
    binary.write_bytes(b"a: \xff\xfe")
    with pytest.raises(ValueError, match="larger than 256 KiB"):
        read_yaml(big)
    with pytest.raises(ValueError, match="not UTF-8"):
        read_yaml(binary)


TEXT = st.text(st.characters(exclude_categories=["C", "Zl", "Zp"]), min_size=1)
NUMBER_LIKE = st.from_regex(r"[0-9e.+-]{1,9}", fullmatch=True)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | NUMBER_LIKE | TEXT


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(TEXT, SCALARS | st.lists(SCALARS), min_size=1))
def test_what_is_written_is_read_back(data):
    assert parse_yaml(write_yaml(data), "f")[0] == data
