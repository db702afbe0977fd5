"""Answers are read as transformers reads them, except where the room says that it does better."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.infer.parse import Answer, Parser, Token
from stream.infer.tasks import TASKS
from stream.infer.tokens import Vocabulary


class PublishedWords:
    """As much of the published checkpoints' tokenizer as transformers' own test file shows."""

    TEXT: ClassVar = {
        28884: "whe", 2507: "els", 5901: "car", 11219: "door", 3679: " handle", 13630: "wheel",
        102: "a", 2272: " green", 512: " car", 4652: "88", 495: "ST", 2571: "OP",
    }  # fmt: skip
    SPECIAL: ClassVar = {0: "<s>", 1: "<pad>", 2: "</s>", 51279: "<sep>", 51286: "<poly>", 51287: "</poly>"}

    class _Added:
        special = True

    def token_to_id(self, token: str) -> int | None:
        if token.startswith("<loc_"):
            return 50269 + int(token[5:-1])
        return {text: index for index, text in self.SPECIAL.items()}.get(token)

    def get_added_tokens_decoder(self) -> dict[int, Any]:
        return {index: self._Added() for index in [*self.SPECIAL, *range(50269, 51269)]}

    def decode(self, ids: list[int], skip_special_tokens: bool) -> str:
        return "".join(self.TEXT[index] for index in ids)


PUBLISHED = Parser(Vocabulary(PublishedWords(), 0, 2, 1))


def said(*ids: int) -> list[Token]:
    return [Token(index, math.log(0.5)) for index in ids]


def whole(boxes: list[list[float]]) -> list[list[int]]:
    """Truncated, as transformers does it."""
    return [[int(value) for value in box] for box in boxes]


# Token ids and answers of the real checkpoints, from tests/models/florence2/test_modeling_florence2.py of transformers;
# its pictures have 1300x876 and 640x480 px.
def test_region_proposals_of_the_base_model() -> None:
    ids = [
        2, 0, 50269, 50269, 51267, 50980, 50269, 50269, 50688, 50942, 50269, 50333, 50633, 50941, 51033, 50269, 51267,
        50934, 50794, 50814, 51190, 51032, 50432, 50402, 50634, 50692, 50269, 50334, 50340, 50927, 51224, 50417, 51267,
        50930, 51075, 50944, 51159, 51028, 50836, 50947, 50915, 51030, 2,
    ]  # fmt: skip
    answer = PUBLISHED.parse(TASKS["<REGION_PROPOSAL>"], said(*ids), 1300, 876).plain()
    assert whole(answer["bboxes"]) == [
        [0, 0, 1298, 623], [0, 0, 545, 589], [0, 56, 473, 589], [993, 0, 1298, 582], [683, 477, 1197, 668],
        [212, 116, 475, 370], [0, 57, 92, 576], [1242, 130, 1298, 579], [1048, 591, 1157, 665], [737, 594, 840, 667],
    ]  # fmt: skip
    assert answer["labels"] == [""] * 10
    assert all(0.97 < score < 1 for score in answer["scores"]), "half sure of a bin is off by a third of one"


def test_open_vocabulary_detection_of_the_base_model() -> None:
    ids = [
        2, 0, 28884, 2507, 50413, 50839, 51139, 51047, 28884, 2507, 50980, 50842, 51135, 51043, 28884, 2507, 50417,
        50848, 50573, 51043, 2, 1, 1,
    ]  # fmt: skip
    answer = PUBLISHED.parse(TASKS["<OPEN_VOCABULARY_DETECTION>"], said(*ids), 640, 480).plain()
    assert whole(answer["bboxes"]) == [[92, 273, 557, 373], [455, 275, 554, 371], [95, 278, 194, 371]]
    assert answer["bboxes_labels"] == ["wheels"] * 3
    assert answer["polygons"] == answer["polygons_labels"] == []


def test_detection_of_the_base_model_gives_one_label_many_boxes() -> None:
    ids = [
        2, 0, 5901, 50322, 50602, 51202, 51043, 11219, 3679, 50694, 50772, 50743, 50784, 13630, 50978, 50845, 51134,
        51041, 50419, 50853, 50578, 51042, 2, 1,
    ]  # fmt: skip
    answer = PUBLISHED.parse(TASKS["<OD>"], said(*ids), 640, 480).plain()
    assert whole(answer["bboxes"]) == [
        [34, 160, 597, 371],
        [272, 241, 303, 247],
        [454, 276, 553, 370],
        [96, 280, 198, 371],
    ]
    assert answer["labels"] == ["car", "door handle", "wheel", "wheel"]


def test_the_large_models_repeated_starts_are_not_part_of_the_answer() -> None:
    answer = PUBLISHED.parse(TASKS["<CAPTION>"], said(2, 0, 0, 0, 102, 2272, 512, 2, 1), 640, 480)
    assert answer.text == "a green car"
    assert answer.score == pytest.approx(0.5)


def test_text_with_regions_of_the_large_model() -> None:
    ids = [2, 0, 0, 0, 4652, 50270, 50372, 50288, 50372, 50288, 50394, 50270, 50394]
    ids += [495, 2571, 50446, 50495, 50614, 50493, 50614, 50596, 50446, 50600, 2]
    answer = PUBLISHED.parse(TASKS["<OCR_WITH_REGION>"], said(*ids), 1300, 876).plain()
    assert whole(answer["quad_boxes"]) == [[1, 90, 25, 90, 25, 109, 1, 109], [230, 198, 449, 196, 449, 286, 230, 290]]
    assert answer["labels"] == ["88", "STOP"]


def test_polygons_of_the_base_model_start_without_a_label() -> None:
    ids = [2, 0, 50548, 50648, 50551, 50648, 50559, 50641, 50562, 50641, 50567, 50637, 2]
    answer = PUBLISHED.parse(TASKS["<REFERRING_EXPRESSION_SEGMENTATION>"], said(*ids), 640, 480).plain()
    assert whole(answer["polygons"][0]) == [[178, 182, 180, 182, 185, 178, 187, 178, 191, 176]]
    assert answer["labels"] == [""]


def read(vocabulary: Vocabulary, task: str, text: str, width: int = 1000, height: int = 1000) -> Answer:
    """Through the golden tokenizer, each token half as likely as sure."""
    return Parser(vocabulary).parse(TASKS[task], said(*vocabulary.encode(text)), width, height)


def test_labels_keep_what_transformers_drops(vocabulary: Vocabulary) -> None:
    text = "café<loc_1><loc_2><loc_3><loc_4>a < b<loc_5><loc_6><loc_7><loc_8>two\nlines<loc_5><loc_6><loc_7><loc_8>"
    answer = read(vocabulary, "<OD>", text)
    assert [one.label for one in answer.found] == ["café", "a < b", "two\nlines"]
    assert answer.found[0].box == (1.5, 2.5, 3.5, 4.5)


def test_left_over_coordinates_are_dropped(vocabulary: Vocabulary) -> None:
    answer = read(vocabulary, "<OD>", "car<loc_1><loc_2><loc_3>dog<loc_1><loc_2><loc_3><loc_4><loc_5><loc_6>")
    assert [one.label for one in answer.found] == ["dog"]


def test_coordinates_before_any_label_are_nobodys(vocabulary: Vocabulary) -> None:
    assert read(vocabulary, "<OD>", "<loc_1><loc_2><loc_3><loc_4>").found == ()


def test_grounding_drops_what_is_no_thing(vocabulary: Vocabulary) -> None:
    text = "the image<loc_1><loc_2><loc_3><loc_4>red car<loc_5><loc_6><loc_7><loc_8><loc_1><loc_2><loc_3><loc_4>"
    answer = read(vocabulary, "<CAPTION_TO_PHRASE_GROUNDING>", text)
    assert [one.label for one in answer.found] == ["red car", "red car"]


def test_open_vocabulary_gives_polygons_where_there_are_any(vocabulary: Vocabulary) -> None:
    text = "car<poly><loc_1><loc_2><loc_3><loc_4><loc_5><sep><loc_6><loc_7></poly>"
    answer = read(vocabulary, "<OPEN_VOCABULARY_DETECTION>", text).plain()
    assert answer["polygons"] == [[[1.5, 2.5, 3.5, 4.5], [6.5, 7.5]]]
    assert answer["polygons_labels"] == ["car"] and answer["bboxes"] == []


def scored(vocabulary: Vocabulary, task: str, text: str, label: float, place: float) -> list[float]:
    """Scores where each word has one probability and each coordinate another."""
    ids = vocabulary.encode(text)[1:-1]
    tokens = [Token(n, math.log(label if vocabulary.bin(n) is None else place)) for n in ids]
    return [one.score for one in Parser(vocabulary).parse(TASKS[task], tokens, 100, 100).found]


def test_a_score_is_that_of_the_label_times_the_overlap_to_be_expected(vocabulary: Vocabulary) -> None:
    text = "car<loc_100><loc_200><loc_299><loc_599>"
    assert scored(vocabulary, "<OD>", text, 0.8, 1.0) == [pytest.approx(0.8)], "sure of the place"
    error = (1 / 0.1 - 1) / math.pi  # of a bell whose middle has a tenth
    expected = 200 / (200 + 2 * error) * 400 / (400 + 2 * error)
    assert scored(vocabulary, "<OD>", text, 0.8, 0.1) == [pytest.approx(0.8 * expected)]
    assert scored(vocabulary, "<REGION_PROPOSAL>", text[3:], 1.0, 0.1) == [pytest.approx(expected)]


def test_doubt_about_a_place_counts_by_its_size(vocabulary: Vocabulary) -> None:
    large, small = scored(
        vocabulary, "<OD>", "car<loc_0><loc_0><loc_800><loc_800><loc_500><loc_500><loc_509><loc_509>", 1.0, 0.05
    )
    assert large > 0.95 and small < 0.4
    (lost,) = scored(vocabulary, "<OD>", "car<loc_100><loc_200><loc_299><loc_599>", 1.0, 0.001)
    assert lost < 0.3, "spread over the whole picture"
    (never,) = scored(vocabulary, "<OD>", "car<loc_100><loc_200><loc_299><loc_599>", 1.0, 1e-300)
    assert 0 <= never < 1e-6


def test_texts_and_outlines_are_scored_alike(vocabulary: Vocabulary) -> None:
    square = "<loc_100><loc_100><loc_199><loc_100><loc_199><loc_199><loc_100><loc_199>"
    quad = scored(vocabulary, "<OCR_WITH_REGION>", "STOP" + square, 0.9, 0.2)
    outline = scored(vocabulary, "<REFERRING_EXPRESSION_SEGMENTATION>", square, 1.0, 0.2)
    assert quad == [pytest.approx(0.9 * outline[0])]
    assert 0.9 < outline[0] < 1


def test_nothing_said_is_an_empty_answer_with_score_zero(vocabulary: Vocabulary) -> None:
    answer = Parser(vocabulary).parse(TASKS["<CAPTION>"], said(2, 0, 2), 10, 10)
    assert (answer.text, answer.score) == ("", 0.0)


BINS = st.tuples(*[st.integers(0, 999)] * 4)
LABELS = st.text(st.characters(codec="utf-8", exclude_characters="<>"), min_size=1, max_size=12)


@given(st.lists(st.tuples(LABELS, BINS), max_size=6), st.integers(1, 4000), st.integers(1, 4000))
def test_what_is_written_as_boxes_is_read_as_boxes(
    vocabulary: Vocabulary, things: list[tuple[str, tuple[int, int, int, int]]], width: int, height: int
) -> None:
    text = "".join(label + "".join(f"<loc_{n}>" for n in bins) for label, bins in things)
    answer = read(vocabulary, "<OD>", text, width, height)
    assert [one.label for one in answer.found] == [label.strip() for label, _ in things]
    for one, (_, bins) in zip(answer.found, things, strict=True):
        assert one.box is not None
        sides = (width, height, width, height)
        assert one.box == pytest.approx([(n + 0.5) * side / 1000 for n, side in zip(bins, sides, strict=True)])


@given(st.data(), st.sampled_from(sorted(TASKS)))
def test_whatever_a_model_says_is_read_without_an_error_and_within_the_picture(
    vocabulary: Vocabulary, data: st.DataObject, task: str
) -> None:
    marks = [vocabulary.poly, vocabulary.poly_end, vocabulary.sep, 0, 1, 2]
    choices = st.one_of(
        st.integers(0, 400), st.integers(vocabulary.first_bin, vocabulary.first_bin + 999), st.sampled_from(marks)
    )
    ids = data.draw(st.lists(choices, max_size=40))
    answer = Parser(vocabulary).parse(TASKS[task], said(*ids), 640, 480)
    for one in answer.found:
        places = [*(one.box or ()), *(one.quad or ()), *(value for polygon in one.polygons or () for value in polygon)]
        assert places and all(0 < value < 640 for value in places)
        assert 0 < one.score <= 1
        assert "<loc_" not in one.label
    assert set(answer.plain())
