"""The runtime's Florence-2 equals what transformers answered, in both layouts, without torch."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from stream.infer.buffers import Buffer
from stream.infer.florence2 import Florence2
from stream.infer.generate import Feed
from stream.infer.layout import Seat
from stream.infer.parse import Answer, Parser, Token
from stream.infer.tasks import TASKS, prompt, task_named
from stream.infer.tokens import Vocabulary

LAYOUTS = ("published", "static")
LOGITS = 1e-4
"""Largest difference of a logit; the logits' standard deviation is about 1.5."""

Load = Callable[..., Florence2]


@pytest.fixture(scope="module")
def arrays(goldens: Path) -> dict[str, NDArray[Any]]:
    with np.load(goldens / "florence2.npz") as file:
        return dict(file)


@pytest.fixture(scope="module")
def said(goldens: Path) -> dict[str, Any]:
    return dict(json.loads((goldens / "florence2.json").read_text()))


def ragged(arrays: dict[str, NDArray[Any]]) -> Iterator[tuple[int, list[int]]]:
    """Picture and token ids of each prompt of the ragged batch."""
    rows = zip(arrays["ragged_image"], arrays["ragged_input_ids"], arrays["ragged_attention_mask"], strict=True)
    for image, ids, mask in rows:
        yield int(image), ids[mask > 0].tolist()


def test_goldens_hold_every_task_and_varied_answers(said: dict[str, Any]) -> None:
    entries = said["generated"]
    assert {entry["task"] for entry in entries} == set(TASKS)
    assert {len(entry["greedy"]["tokens"]) for entry in entries} >= {3, 21}
    assert len({token for entry in entries for token in entry["greedy"]["tokens"]}) > 30
    assert sum(entry["greedy"]["tokens"] != entry["beams"]["tokens"] for entry in entries) > 10


def test_prompts_are_the_references(said: dict[str, Any], vocabulary: Vocabulary) -> None:
    for entry in said["generated"]:
        sentence = prompt(task_named(entry["task"]), entry["input"])
        assert sentence == entry["prompt"]
        assert vocabulary.encode(sentence) == entry["input_ids"]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_image_features(layout: str, arrays: dict[str, NDArray[Any]], load_florence2: Load) -> None:
    model = load_florence2(layout=layout)
    seen = model.see([model.prepare(picture) for picture in arrays["pixels"]])
    features = seen.features.read() if isinstance(seen.features, Buffer) else seen.features
    assert features.shape == arrays["image_features"].shape
    np.testing.assert_allclose(features, arrays["image_features"], atol=LOGITS, rtol=0)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_logits_of_a_ragged_batch(layout: str, arrays: dict[str, NDArray[Any]], load_florence2: Load) -> None:
    graphs = load_florence2(layout=layout).decoding.layout
    seen = graphs.see(list(arrays["pixels"]))
    seats = [Seat(image, ids, [slot]) for slot, (image, ids) in enumerate(ragged(arrays))]
    graphs.admit(seen, seats)
    tokens, expected = arrays["ragged_tokens"], arrays["ragged_logits"]
    for step in range(expected.shape[1]):
        feeds = {slot: Feed(int(row[step]), step, ()) for slot, row in enumerate(tokens)}
        guess = graphs.step(feeds, logits=True)
        assert guess.logits is not None
        np.testing.assert_allclose(guess.logits, expected[:, step], atol=LOGITS, rtol=0)
    graphs.release(range(len(seats)), clean=True)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_tokens_of_a_ragged_batch(layout: str, arrays: dict[str, NDArray[Any]], load_florence2: Load) -> None:
    model = load_florence2(layout=layout)
    seen = model.see(list(arrays["pixels"]))
    rows = [model.row(image, "<OD>") for image, _ in ragged(arrays)]
    for row, (_, ids) in zip(rows, ragged(arrays), strict=True):
        row.ids, row.max_tokens = ids, 20
    model.decoding.admit(seen, rows)
    while model.decoding.active:
        model.decoding.step()
    for row, tokens, chances in zip(rows, arrays["ragged_tokens"], arrays["ragged_logprobs"], strict=True):
        found = model.tokens(row)
        assert [token.id for token in found] == [t for t in tokens[1:].tolist() if t != 1]
        chosen = [token.logprob for token in found[1:-1]]  # the first and perhaps the last are forced, not chosen
        np.testing.assert_allclose(chosen, chances[1 : 1 + len(chosen)], atol=LOGITS)


def generate(model: Florence2, arrays: dict[str, NDArray[Any]], entries: Sequence[Any], cap: int) -> list[list[int]]:
    """Every entry's tokens, all entries through the slots in one go, in the order of the entries."""
    rows = [model.row(entry["image"], entry["task"], entry["input"]) for entry in entries]
    waiting = list(rows)
    for row in rows:
        row.max_tokens = cap
    seen = model.see(list(arrays["pixels"]))
    while waiting or model.decoding.active:
        count = model.decoding.free
        if waiting and count:
            model.decoding.admit(seen, waiting[:count])
            waiting = waiting[count:]
        model.decoding.step()
    return [[2, *(token.id for token in model.tokens(row))] for row in rows]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("mode", ["greedy", "beams", "beams_late"])
def test_tokens_of_every_task(
    layout: str, mode: str, arrays: dict[str, NDArray[Any]], said: dict[str, Any], load_florence2: Load
) -> None:
    model = load_florence2(layout=layout, beams=1 if mode == "greedy" else 3)
    rules = model.decoding.rules
    model.decoding.rules = replace(rules, early_stopping=mode != "beams_late")
    found = generate(model, arrays, said["generated"], said["max_new_tokens"])
    model.decoding.rules = rules
    assert found == [entry[mode]["tokens"] for entry in said["generated"]]


def comparable(answer: Answer) -> Any:
    """The answer as transformers gives it: whole pixels, no scores."""
    plain = answer.plain()
    if "text" in plain:
        return plain["text"]
    return {key: whole(value) for key, value in plain.items() if not key.endswith("scores")}


def whole(value: Any) -> Any:
    """Coordinates cut to whole pixels, in float32 as the reference computes them."""
    if isinstance(value, list):
        return [whole(one) for one in value]
    return int(np.float32(value)) if isinstance(value, float) else value


def parse(case: dict[str, Any], vocabulary: Vocabulary, size: Sequence[int]) -> Answer:
    tokenizer = vocabulary._tokenizer
    tokens = [Token(index, -0.1) for index in tokenizer.encode(case["text"], add_special_tokens=False).ids]
    return Parser(vocabulary).parse(task_named(case["task"]), tokens, size[0], size[1])


def test_parsing_equals_the_reference(said: dict[str, Any], vocabulary: Vocabulary) -> None:
    for case in said["parsed"]:
        assert comparable(parse(case, vocabulary, case["image_size"])) == case["answer"], case


def test_parsing_differs_only_where_it_says_so(said: dict[str, Any], vocabulary: Vocabulary) -> None:
    ours = [comparable(parse(case, vocabulary, case["image_size"])) for case in said["parsed_differently"]]
    labels = [answer if isinstance(answer, str) else answer["labels"] for answer in ours]
    assert labels == [
        ["caf\u00e9", "\u8eca"],
        ["a < b"],
        ["na\u00efve"],
        ["dog"],
        ["line one\nline two"],
        ["long", "next"],
        "a car",
    ]
    assert all(answer != case["answer"] for answer, case in zip(ours, said["parsed_differently"], strict=True))


@pytest.mark.parametrize("mode", ["greedy", "beams"])
def test_answers_of_generated_texts(mode: str, said: dict[str, Any], vocabulary: Vocabulary) -> None:
    """The nonsense of random weights, read by both; the reference makes labels of torn markers, which we drop."""
    same = 0
    for entry in said["generated"]:
        tokens = [Token(index, -0.1) for index in entry[mode]["tokens"]]
        ours = comparable(Parser(vocabulary).parse(task_named(entry["task"]), tokens, 640, 480))
        theirs = entry[mode]["answer"]
        if "loc_" in json.dumps(theirs) and not isinstance(theirs, str):
            assert "loc_" not in json.dumps(ours)
        else:
            assert ours == theirs, (entry["task"], entry[mode]["text"])
            same += 1
    assert same > 20
