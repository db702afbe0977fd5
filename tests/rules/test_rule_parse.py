"""Rules files: what is accepted, and what each fault says."""

from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.errors import Misconfigured
from stream.rules import Rule, Rules

FULL = """
rules:
  - name: Night visitor
    source: [drive, "yard*"]
    label: [person, dog]
    min_score: 0.4
    zone: [[0, 0.5], [1, 0.5], [1, 1], [0, 1]]
    overlap: 0.3
    words: red jacket
    between: ["22:00", "6:30"]
    timezone: Europe/Berlin
    cool_down_s: 300
    message: "{label} at {source}: {caption}"
"""


def fault(text: str) -> str:
    with pytest.raises(Misconfigured) as caught:
        Rules.load(text)
    return str(caught.value)


def test_every_key_is_read(tmp_path):
    path = tmp_path / "rules.yaml"
    path.write_text(FULL)
    (rule,) = Rules.load(path).rules
    assert (rule.name, rule.source, rule.label, rule.min_score) == (
        "Night visitor",
        ("drive", "yard*"),
        ("person", "dog"),
        0.4,
    )
    assert rule.zone == ((0, 0.5), (1, 0.5), (1, 1), (0, 1))
    assert (rule.overlap, rule.words, rule.cool_down_s) == (0.3, ("red jacket",), 300)
    assert rule.between is not None and [part.isoformat("minutes") for part in rule.between] == ["22:00", "06:30"]
    assert str(rule.timezone) == "Europe/Berlin"
    assert Rules.load(FULL).rules == (rule,)


def test_no_rules_is_fine():
    assert Rules.load("").rules == Rules.load([]).rules == Rules.load("rules: []").rules == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("- {name: a, labels: car}", "rule 1 ('a'): unknown key 'labels'; did you mean 'label'?"),
        ("- {name: a, label: car, cooldown: 3}", "did you mean 'cool_down_s'?"),
        ("- {name: a, label: car, qqqq: 3}", "known keys are name, source"),
        ("- {label: car}", "rule 1: a name is missing"),
        ("- {name: 7, label: car}", "name: must be 1 to 100 printable characters, not 7"),
        ('- {name: "a\\nb", label: car}', "printable"),
        ("- {name: a, label: car}\n- {name: a, label: dog}", "rule 2 ('a'): the name is used by an earlier rule"),
        ("- {name: a}", "matches every picture; give it a label"),
        ("- {name: a, label: 5}", "label: must be text or a list of texts, not a number"),
        ("- {name: a, label: [off]}", "label: must be text, not False; put it in quotes"),
        ("- {name: a, label: []}", "label: must be text or a list"),
        ("- {name: a, label: car, min_score: 70}", "min_score: must be a number from 0 to 1, not 70"),
        ("- {name: a, label: car, min_score: yes}", "min_score: must be a number"),
        ("- {name: a, label: car, min_score: .nan}", "min_score: must be a number"),
        ("- {name: a, label: car, cool_down_s: -1}", "cool_down_s: must be a number from 0"),
        ("- {name: a, zone: [[0, 0], [1, 1]]}", "zone: must be a list of at least 3 corners"),
        ("- {name: a, zone: [[0, 0], [640, 0], [640, 480]]}", "each from 0 to 1"),
        ("- {name: a, zone: [[0, 0], [0.5, 0.5], [1, 1]]}", "lie on one line"),
        ("- {name: a, label: car, overlap: 0.5}", "overlap: needs a zone"),
        ("- {name: a, label: car, between: [22:00, 06:00]}", 'in quotes, such as "22:00", not 1320'),
        ('- {name: a, label: car, between: ["22:00", "25:00"]}', "not '25:00'"),
        ('- {name: a, label: car, between: ["22:00", "22:00"]}', "leave it out"),
        ("- {name: a, label: car, timezone: Mars/Base}", "must be a name such as 'Europe/Berlin'"),
        ("- {name: a, label: car, timezone: Europe}", "must be a name such as"),
        ("- {name: a, label: car, timezone: UTC}", "timezone: needs 'between'"),
        (
            '- {name: a, label: car, message: "{label.__class__}"}',
            "{label.__class__} is unknown; the fields are {rule}",
        ),
        ('- {name: a, label: car, message: "{0}"}', "{0} is unknown"),
        ('- {name: a, label: car, message: "{label"}', "write {{ for a brace"),
        ("- car", "rule 1: must be a mapping with a name, not text"),
        ("car", "rules: must be a list of rules, not text"),
        ("a: b: c", "not valid YAML"),
    ],
)
def test_fault_says_what_and_where(text, expected):
    assert expected in fault(text)


def test_all_faults_are_named_at_once():
    message = fault("- {name: a, lable: car, min_score: 2}\n- {name: b}")
    assert len(message.splitlines()) == 3


def test_missing_file_is_named(tmp_path):
    with pytest.raises(Misconfigured, match=r"cannot read the rules file .*gone\.yaml: No such file"):
        Rules.load(tmp_path / "gone.yaml")


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)
KEYS = st.sampled_from(
    ["name", "source", "label", "min_score", "zone", "overlap", "words", "between", "timezone", "message"]
)


@given(st.lists(st.dictionaries(KEYS, anything), max_size=3))
def test_whatever_is_written_gives_rules_or_a_clear_error(items):
    try:
        rules = Rules.load(items).rules
    except Misconfigured as error:
        assert str(error)
    else:
        assert len(rules) == len(items)


def test_documented_example_is_valid_and_every_key_documented():
    text = (Path(__file__).parents[2] / "docs" / "rules.md").read_text()
    example = text.split("```yaml\n")[1].split("```")[0]
    assert [rule.name for rule in Rules.load(example).rules] == ["Someone at the door at night", "Red car", "Parcel"]
    documented = {line.split("`")[1] for line in text.splitlines() if line.startswith("| `")}
    assert documented == {entry.name for entry in fields(Rule)}
