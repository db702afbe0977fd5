"""Generated texts whose parsed answers are written down: what real checkpoints said, and what breaks parsers."""

from __future__ import annotations

Case = tuple[str, str, tuple[int, int]]
"""Task, generated text, picture size (width, height)."""


def _locs(*numbers: int) -> str:
    return "".join(f"<loc_{n}>" for n in numbers)


def _wrapped(*parts: str) -> str:
    """As the model says it: the start token, `<s>`, the answer and `</s>`."""
    return "</s><s>" + "".join(parts) + "</s>"


REAL: list[Case] = [
    (
        "<REGION_PROPOSAL>",
        _wrapped(
            _locs(0, 0, 998, 711, 0, 0, 419, 673, 0, 64, 364, 672, 764, 0, 998, 665, 525, 545, 921, 763),
            _locs(163, 133, 365, 423, 0, 65, 71, 658, 955, 148, 998, 661, 806, 675, 890, 759, 567, 678, 646, 761),
        ),
        (1300, 876),
    ),
    (
        "<OPEN_VOCABULARY_DETECTION>",
        _wrapped(
            "wheels",
            _locs(144, 570, 870, 778),
            "wheels",
            _locs(711, 573, 866, 774),
            "wheels",
            _locs(148, 579, 304, 774),
        ),
        (640, 480),
    ),
    (
        "<OD>",
        _wrapped(
            "car",
            _locs(53, 333, 933, 774),
            "door handle",
            _locs(425, 503, 474, 515),
            "wheel",
            _locs(709, 576, 865, 772, 150, 584, 309, 773),
        ),
        (640, 480),
    ),
    (
        "<REFERRING_EXPRESSION_SEGMENTATION>",
        _wrapped(_locs(279, 379, 282, 379, 290, 372, 293, 372, 298, 368, 301, 368, 306, 364, 310, 362, 315, 360)),
        (640, 480),
    ),
    (
        "<CAPTION>",
        _wrapped("A green car parked in front of a yellow building."),
        (640, 480),
    ),
]
"""Answers of the published base and large checkpoints, as transformers' own tests record them."""

QUAD = (100, 100, 200, 100, 200, 200, 100, 200)
TRIANGLE = (10, 10, 90, 10, 50, 80)

MADE: list[Case] = [
    ("<OD>", _wrapped("car", _locs(52, 334, 932, 774)), (1000, 1000)),
    ("<OD>", _wrapped("car", _locs(0, 0, 999, 999)), (1, 1)),
    ("<OD>", _wrapped("car", _locs(0, 0, 999, 999)), (3840, 2160)),
    ("<OD>", _wrapped("car", _locs(1, 2, 3)), (640, 480)),
    ("<OD>", _wrapped("car", _locs(1, 2, 3, 4, 5, 6, 7)), (640, 480)),
    ("<OD>", _wrapped("car", _locs(1, 2, 3, 4, 5, 6, 7, 8)), (640, 480)),
    ("<OD>", _wrapped(" car ", _locs(9, 8, 7, 6), "  ", _locs(5, 6, 7, 8)), (640, 480)),
    ("<OD>", _wrapped("car, red", _locs(1, 2, 3, 4), "dog"), (640, 480)),
    ("<OD>", _wrapped(""), (640, 480)),
    ("<OD>", _wrapped("no boxes at all"), (640, 480)),
    ("<OD>", "car" + _locs(1, 2, 3, 4), (640, 480)),
    ("<OD>", _wrapped("car", _locs(1, 2, 3, 4)) + "<pad><pad><pad>", (640, 480)),
    ("<OD>", "</s><s><s><s>car" + _locs(1, 2, 3, 4), (640, 480)),
    ("<DENSE_REGION_CAPTION>", _wrapped("a red car, parked", _locs(1, 2, 3, 4, 5, 6, 7, 8)), (640, 480)),
    ("<REGION_PROPOSAL>", _wrapped(_locs(1, 2, 3, 4, 5, 6, 7, 8, 9)), (640, 480)),
    ("<REGION_PROPOSAL>", _wrapped(_locs(1, 2, 3, 4), "x", _locs(5, 6, 7, 8)), (640, 480)),
    ("<REGION_PROPOSAL>", _wrapped("x", _locs(1, 2, 3, 4)), (640, 480)),
    ("<REGION_PROPOSAL>", _wrapped(_locs(1, 2, 3)), (640, 480)),
    ("<OCR_WITH_REGION>", _wrapped("AB 12", _locs(*QUAD), "World", _locs(*QUAD)), (640, 480)),
    ("<OCR_WITH_REGION>", _wrapped("short", _locs(*QUAD[:7])), (640, 480)),
    ("<OCR_WITH_REGION>", _wrapped(_locs(*QUAD)), (640, 480)),
    ("<OCR_WITH_REGION>", _wrapped("caf\u00e9 \u8eca", _locs(*QUAD)), (640, 480)),
    ("<OCR>", _wrapped("STOP 50 caf\u00e9"), (640, 480)),
    ("<OCR>", _wrapped(" two\nlines "), (640, 480)),
    (
        "<CAPTION_TO_PHRASE_GROUNDING>",
        _wrapped("A red car", _locs(1, 2, 3, 4, 5, 6, 7, 8), "sky", _locs(0, 0, 9, 9)),
        (640, 480),
    ),
    ("<CAPTION_TO_PHRASE_GROUNDING>", _wrapped("the image", _locs(1, 2, 3, 4), "it", _locs(0, 0, 9, 9)), (640, 480)),
    ("<CAPTION_TO_PHRASE_GROUNDING>", _wrapped("this", _locs(1, 2, 3, 4), "these", _locs(0, 0, 9, 9)), (640, 480)),
    ("<CAPTION_TO_PHRASE_GROUNDING>", _wrapped("The image", _locs(1, 2, 3, 4), "lots", _locs(0, 0, 9, 9)), (640, 480)),
    ("<REFERRING_EXPRESSION_SEGMENTATION>", _wrapped(_locs(*TRIANGLE), "<sep>", _locs(*TRIANGLE)), (640, 480)),
    ("<REFERRING_EXPRESSION_SEGMENTATION>", _wrapped(_locs(*TRIANGLE, 7)), (640, 480)),
    ("<REFERRING_EXPRESSION_SEGMENTATION>", _wrapped(_locs(1, 2)), (640, 480)),
    (
        "<REFERRING_EXPRESSION_SEGMENTATION>",
        _wrapped("<poly>", _locs(*TRIANGLE), "</poly><poly>", _locs(*QUAD), "</poly>"),
        (640, 480),
    ),
    ("<REGION_TO_SEGMENTATION>", _wrapped(_locs(*QUAD)), (640, 480)),
    ("<OPEN_VOCABULARY_DETECTION>", _wrapped("car<poly>", _locs(*TRIANGLE), "</poly>"), (640, 480)),
    (
        "<OPEN_VOCABULARY_DETECTION>",
        _wrapped("car<poly>", _locs(*TRIANGLE), "<sep>", _locs(*QUAD), "</poly>"),
        (640, 480),
    ),
    ("<OPEN_VOCABULARY_DETECTION>", _wrapped("a", _locs(*QUAD), "b<poly>", _locs(*TRIANGLE), "</poly>"), (640, 480)),
    ("<OPEN_VOCABULARY_DETECTION>", _wrapped("car", _locs(1, 2, 3, 4)), (640, 480)),
    ("<REGION_TO_CATEGORY>", _wrapped("car", _locs(1, 2, 3, 4)), (640, 480)),
    ("<REGION_TO_DESCRIPTION>", _wrapped("a red car"), (640, 480)),
    ("<REGION_TO_OCR>", _wrapped("AB 12"), (640, 480)),
    ("<MORE_DETAILED_CAPTION>", _wrapped("One. Two."), (640, 480)),
]
"""Left-over and missing places, several boxes a label, empty and repeated parts, polygons in pieces, words that are
banned."""

DIFFERENT: list[Case] = [
    ("<OD>", _wrapped("caf\u00e9", _locs(1, 2, 3, 4), "\u8eca", _locs(5, 6, 7, 8)), (640, 480)),
    ("<OD>", _wrapped("a < b", _locs(1, 2, 3, 4)), (640, 480)),
    ("<CAPTION_TO_PHRASE_GROUNDING>", _wrapped("na\u00efve", _locs(1, 2, 3, 4)), (640, 480)),
    ("<OD>", _wrapped(_locs(1, 2), "dog", _locs(5, 6, 7, 8)), (640, 480)),
    ("<DENSE_REGION_CAPTION>", _wrapped("line one\nline two", _locs(1, 2, 3, 4)), (640, 480)),
    ("<OCR_WITH_REGION>", _wrapped("long", _locs(*QUAD, *QUAD[:3]), "next", _locs(*QUAD)), (640, 480)),
    ("<CAPTION>", _wrapped("a car") + "<pad><pad>", (640, 480)),
]
"""Where we answer differently on purpose: letters outside ASCII are kept, and so is text before a literal `<`;
places before a label are dropped (the reference makes `loc_2>dog` of them), and so is padding; a label may have two
lines."""
