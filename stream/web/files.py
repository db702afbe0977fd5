"""Files from the snapshot folder and from this package, and nothing beside them."""

from __future__ import annotations

import os
from pathlib import Path

import anyio.to_thread
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response

# Only what the gate and the models read; never SVG or HTML, which could carry a script.
_PICTURES = {".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".png": "image/png", ".webp": "image/webp"}
_STATIC = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


class Files:
    """Serves one folder by relative path; the suffix decides the type, other suffixes are not there."""

    def __init__(self, folder: Path, types: dict[str, str], cache: str) -> None:
        self._folder = folder
        self._types = types
        self._cache = cache

    async def __call__(self, request: Request) -> Response:
        path = request.path_params["path"]
        media_type = self._types.get(Path(path).suffix.lower())
        found = await anyio.to_thread.run_sync(_inside, self._folder, path) if media_type else None
        if found is None:
            raise HTTPException(404, "there is no such file, or it was deleted by its retention")
        return FileResponse(
            found[0], media_type=media_type, stat_result=found[1], headers={"Cache-Control": self._cache}
        )


def _inside(folder: Path, relative: str) -> tuple[Path, os.stat_result] | None:
    """The regular file below the folder, links followed; None for everything else."""
    try:
        root = folder.resolve(strict=True)
        path = (root / relative).resolve(strict=True)
        if not path.is_relative_to(root) or not path.is_file():
            return None
        return path, path.stat()
    except (OSError, ValueError, RuntimeError):  # not there, a zero byte, a loop of links
        return None


def snapshots(folder: Path) -> Files:
    """A snapshot never changes under its name, but may be deleted."""
    return Files(folder, _PICTURES, "private, max-age=86400")


def static() -> Files:
    """Style, script and icon of this package."""
    return Files(Path(__file__).parent / "static", _STATIC, "no-cache")
