"""`seestream search` over a real embedded store and the bundled models."""

import asyncio
import io
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from PIL import Image

from stream.__main__ import main
from stream.app.engine import load_embedder
from stream.config import load
from stream.sinks import SqliteStore
from stream.types import Admission, Box, Detection, Digest, Media, Observation, Provenance, Reason, TextRead, Vector

NOW = datetime.now(UTC)
SINCE = (NOW - timedelta(minutes=5)).isoformat()


def picture(seed: int) -> np.ndarray:
    """Patches of colour; every seed looks different to any weights."""
    patches = np.random.default_rng(seed).integers(0, 255, (6, 8, 3), np.uint8)
    return np.kron(patches, np.ones((40, 40, 1), np.uint8))


def seen(number: int, caption: str, vector: Vector) -> Observation:
    return Observation(
        id=f"00000000-0000-5000-8000-{number:012}",
        source="drive" if number % 2 else "back yard",
        kind="frame",
        captured_at=NOW - timedelta(hours=number),
        media=Media(320, 240),
        gate=Admission(True, Reason.MOTION),
        provenance=Provenance("frames", 0, number, Digest("ab"), "cd", {}, True, "CPUExecutionProvider"),
        objects=(Detection("car", 0.9, Box(1, 2, 30, 40)),),
        caption=caption,
        text=(TextRead("B-XY 12", 0.8),),
        vectors=(vector,),
        snapshot=f"2026/{number}.jpg",
    )


@pytest.fixture(scope="session")
def siglip():
    return load_embedder(load().models)


@pytest.fixture
async def folder(tmp_path, siglip):
    """A data folder with three observations."""
    vectors = siglip.embed_images([picture(seed) for seed in (1, 2, 3)])
    model = siglip.manifest.version
    rows = [
        seen(number, caption, Vector(model, vectors[number - 1]))
        for number, caption in ((1, "a red car"), (2, "a zebra on a trampoline"), (3, "\x1b[31mnothing\x07 much"))
    ]
    async with SqliteStore(tmp_path / "store.db") as store:
        await store.write(rows, [])
    out = io.BytesIO()
    Image.fromarray(picture(2)).save(out, "PNG")
    (tmp_path / "two.png").write_bytes(out.getvalue())
    return tmp_path


def search(capsys, folder, *words):
    code = main(["search", "--data", str(folder), *words])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_words_of_a_caption_are_found_and_the_picture_is_named(folder, capsys):
    code, out, err = search(capsys, folder, "zebra", "trampoline", "--json")
    hits = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert hits[0]["observation"]["caption"] == "a zebra on a trampoline"
    assert hits[0]["picture"] == str(folder / "snapshots" / "2026" / "2.jpg")
    assert hits[0]["score"] == max(hit["score"] for hit in hits)
    assert "Demo models" in err


def test_the_table_has_time_source_objects_caption_and_picture(folder, capsys):
    _, out, _ = search(capsys, folder, "zebra", "--limit", "1")
    when = (NOW - timedelta(hours=2)).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    for part in (when, "back yard", "car 0.90", "a zebra on a trampoline", "“B-XY 12”", "snapshots/2026/2.jpg"):
        assert part in out, part


def test_a_picture_finds_itself(folder, capsys):
    _, out, _ = search(capsys, folder, "--like", str(folder / "two.png"), "--json")
    first = json.loads(out.splitlines()[0])
    assert first["observation"]["id"].endswith("2")


def test_an_observation_finds_the_others(folder, capsys):
    _, out, _ = search(capsys, folder, "--like", "00000000-0000-5000-8000-000000000002", "--json")
    assert {json.loads(line)["observation"]["id"][-1] for line in out.splitlines()} == {"1", "3"}


def test_source_and_time_narrow_it_down(folder, capsys):
    _, out, _ = search(capsys, folder, "--source", "drive", "--json")
    assert [json.loads(line)["observation"]["id"][-1] for line in out.splitlines()] == ["1", "3"]
    _, out, _ = search(capsys, folder, "car", "--since", "90m", "--json")
    assert [json.loads(line)["observation"]["id"][-1] for line in out.splitlines()] == ["1"]
    _, out, _ = search(capsys, folder, "--until", "150m", "--json")
    assert [json.loads(line)["observation"]["id"][-1] for line in out.splitlines()] == ["3"]


def test_a_drive_by_is_one_hit_with_how_many_more_and_when(folder, capsys):
    async def pass_by():
        async with SqliteStore(folder / "store.db") as store:
            one = await store.get("00000000-0000-5000-8000-000000000001")
            rows = [
                replace(one, id=f"frame-{n}", caption="a tractor", captured_at=NOW + timedelta(seconds=n))
                for n in range(16)
            ]
            await store.write(rows, [])

    asyncio.run(pass_by())
    _, out, _ = search(capsys, folder, "tractor", "--source", "drive", "--since", SINCE)
    first, last = (f"{NOW.astimezone() + timedelta(seconds=n):%H:%M:%S}" for n in (0, 15))
    assert f"+15 from {first} to {last}" in out
    assert out.count("a tractor") == 1
    _, out, _ = search(capsys, folder, "tractor", "--since", SINCE, "--json")
    (hit,) = (json.loads(line) for line in out.splitlines())
    assert sorted([hit["observation"]["id"], *hit["more"]]) == sorted(f"frame-{n}" for n in range(16))
    _, out, _ = search(capsys, folder, "tractor", "--since", SINCE, "--json", "--all", "--limit", "12")
    assert len(out.splitlines()) == 12
    _, out, _ = search(capsys, folder, "--like", str(folder / "two.png"), "--json")
    assert [len(json.loads(line)["more"]) for line in out.splitlines()].count(15) == 1


def test_captions_cannot_steer_the_terminal(folder, capsys):
    _, out, _ = search(capsys, folder, "nothing", "much")
    assert "\x1b" not in out and "\x07" not in out
    assert "nothing" in out


def test_nothing_found_is_said_beside_the_output(folder, capsys):
    code, out, err = search(capsys, folder, "--source", "nowhere")
    assert (code, out) == (0, "")
    assert "nothing was found" in err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["car", "--since", "yesterday"], "write 30m, 2h, 7d"),
        (["car", "--limit", "0"], "limit must be"),
        (["--like", "gone.jpg"], "there is no such picture"),
        (["--like", "no-such-id"], "not in the store"),
    ],
)
def test_faults_are_one_line(folder, capsys, words, says):
    code, out, err = search(capsys, folder, *words)
    assert (code, out) == (1, "")
    assert says in err
    assert len(err.splitlines()) == 1


def test_a_search_makes_no_store(tmp_path, capsys):
    code, _, err = search(capsys, tmp_path, "car")
    assert code == 1
    assert len(err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_without_the_model_captions_are_searched_still(folder, capsys, monkeypatch):
    monkeypatch.setenv("SEESTREAM__MODELS__EMBED", str(folder / "gone"))
    code, out, err = search(capsys, folder, "zebra", "--json")
    assert code == 0
    assert [json.loads(line)["observation"]["id"][-1] for line in out.splitlines()] == ["2"]
    assert "not a model folder" in err and "only captions" in err


def test_real_models_results_carry_no_demo_notice(folder, capsys):
    async def make_real():
        async with SqliteStore(folder / "store.db") as store:
            rows = await store.recent(limit=10)
            real = [replace(row, provenance=replace(row.provenance, demo=False)) for row in rows]
            await store.write(real, [])

    asyncio.run(make_real())
    _, out, err = search(capsys, folder, "zebra", "--json")
    assert out and "Demo" not in err
