"""Files are opened below the allowed roots and nowhere else."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote

import fsspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.decode.places import Places, local_path, shown
from stream.errors import BadMedia, Forbidden, Misconfigured, NotFound, Unavailable

NAMES = ["plain.jpg", "two words.jpg", "line\nbreak.jpg", "Überfahrt-日本.jpg", "100%25.jpg", "a#b?c.jpg", "c:d.jpg"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "allowed"
    folder.mkdir()
    (folder / "file").write_bytes(b"inside")
    (tmp_path / "secret").write_bytes(b"outside")
    (tmp_path / "allowed-too").mkdir()
    (tmp_path / "allowed-too" / "file").write_bytes(b"neighbour")
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_paths_and_uris_of_any_spelling_open(root: Path, name: str) -> None:
    path = root / name
    path.write_bytes(name.encode())
    for place in (str(path), path.as_uri(), f"file://localhost{quote(str(path))}", f"file:{quote(str(path))}"):
        with Places([root]).open(place) as file:
            assert file.read() == name.encode()


def test_a_name_that_is_not_utf_8_opens(root: Path) -> None:
    path = os.fsencode(root) + b"/caf\xe9.jpg"
    Path(os.fsdecode(path)).write_bytes(b"latin-1")
    with Places([root]).open(Path(os.fsdecode(path)).as_uri()) as file:
        assert file.read() == b"latin-1"


def test_what_lies_outside_is_forbidden(root: Path) -> None:
    places = Places([root])
    outside = root.parent
    (root / "link").symlink_to(outside / "secret")
    (root / "folder-link").symlink_to(outside)
    for place in (
        outside / "secret",
        root / ".." / "secret",
        root / "link",
        root / "folder-link" / "secret",
        outside / "allowed-too" / "file",  # the root is not a mere prefix of the name
        outside / "not-there",  # and whether a file exists outside is nobody's business
    ):
        with pytest.raises(Forbidden, match="outside the allowed roots"):
            places.open(str(place))
    with pytest.raises(Forbidden, match="outside the allowed roots"):
        places.open(f"file://{outside}/allowed/%2e%2e/secret")


def test_links_that_stay_inside_open(root: Path) -> None:
    (root / "link").symlink_to(root / "file")
    (root.parent / "alias").symlink_to(root)
    for roots in ([root], [root.parent / "alias"]):
        for place in (root / "link", root.parent / "alias" / "file"):
            with Places(roots).open(str(place)) as file:
                assert file.read() == b"inside"


def test_a_vanished_file_is_not_found(root: Path) -> None:
    with pytest.raises(NotFound, match="was moved or deleted"):
        Places([root]).open(str(root / "gone.mp4"))
    with pytest.raises(NotFound):
        Places([root]).open(str(root / "file" / "below-a-file"))


def test_a_loop_of_links_is_refused(root: Path) -> None:
    (root / "a").symlink_to(root / "b")
    (root / "b").symlink_to(root / "a")
    with pytest.raises((Forbidden, NotFound)):
        Places([root]).open(str(root / "a"))


def test_what_is_no_file_is_refused_without_waiting(root: Path) -> None:
    os.mkfifo(root / "pipe")
    (root / "folder").mkdir()
    for name in ("pipe", "folder"):
        with pytest.raises(BadMedia, match="folder, pipe or device"):
            Places([root]).open(str(root / name))


@pytest.mark.parametrize("place", ["relative.jpg", "", "file://elsewhere/a.jpg", "/nul\0byte", "file:///nul%00byte"])
def test_other_spellings_are_forbidden(root: Path, place: str) -> None:
    with pytest.raises(Forbidden):
        Places([root, "/"]).open(place)


@given(st.text(min_size=1).filter(lambda name: "\0" not in name))
def test_any_path_survives_its_uri(name: str) -> None:
    path = Path("/") / name.encode("utf-8", "ignore").decode().lstrip("/")
    assert local_path(path.as_uri()) == path


class TestRemote:
    @pytest.fixture(autouse=True)
    def store(self) -> None:
        fsspec.filesystem("memory").pipe({"/bucket/uploads/a b.jpg": b"remote", "/bucket/other.jpg": b"no"})

    def test_a_remote_file_below_a_root_opens(self) -> None:
        with Places(["memory://bucket/uploads"]).open("memory://bucket/uploads/a b.jpg") as file:
            assert file.read(3) == b"rem"
            assert file.seek(0) == 0
            assert file.read() == b"remote"

    @pytest.mark.parametrize(
        "place",
        [
            "memory://bucket/other.jpg",
            "memory://bucket/uploads/../other.jpg",
            "memory://bucket/uploads-too/a.jpg",
            "memory://bucket/uploads/a.jpg::file:///etc/passwd",
            "http://169.254.169.254/latest/meta-data",
            "simplecache::memory://bucket/uploads/a b.jpg",
        ],
    )
    def test_what_lies_outside_is_forbidden(self, place: str) -> None:
        with pytest.raises(Forbidden):
            Places(["memory://bucket/uploads", "/tmp"]).open(place)

    def test_a_vanished_one_is_not_found(self) -> None:
        with pytest.raises(NotFound):
            Places(["memory://bucket"]).open("memory://bucket/gone.jpg")

    def test_a_kind_of_place_without_a_library_says_so(self) -> None:
        with pytest.raises(Misconfigured, match="install fsspec's library"):
            Places(["nosuch://bucket"]).open("nosuch://bucket/a.jpg")


def test_a_mount_that_fails_while_reading_is_tried_again_later(root: Path) -> None:
    """EISDIR and the like are about the file; EIO is about the world."""

    class Broken:
        def read(self, size: int = -1) -> bytes:
            raise OSError(5, "Input/output error")

        def close(self) -> None: ...

    with Places([root]).open(str(root / "file")) as file:
        file._file.close()  # type: ignore[attr-defined]
        file._file = Broken()  # type: ignore[attr-defined]
        with pytest.raises(Unavailable, match=r"cannot be read now: Input/output error"):
            file.read()


def test_names_are_shown_on_one_line_and_without_passwords() -> None:
    assert shown("/a\nb") == "'/a\\nb'"
    assert shown("s3://key:secret@host/b/k?X-Sig=1") == "'s3://host/b/k'"
    assert len(shown("/" + "x" * 5000)) < 310
