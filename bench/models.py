"""Florence-2 and SigLIP against transformers, on the same weights and pictures, in one run.

    make bench ARGS="models --peer-python .env-export/bin/python"              CPU, one thread
    make bench ARGS="models --only gpu --peer-python .env-export/bin/python"   where there is CUDA

One JSON line a row. The models have random weights in the real configurations, built by the export environment's Python
(`--peer-python`), which also runs transformers; 32 tokens are forced on both sides, and compared. On the CPU both sides
are one thread, and its processor time counts: whoever else wants the core does not enter the ratio.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
GOLDEN = ROOT / "tests" / "infer" / "goldens" / "florence2"
GFLOP = {"base": 451.0, "large": 1730.0}
"""For one picture and 32 tokens, 2 x multiply-accumulate, by torch's FlopCounterMode on these configurations."""
TOKENS = 32
BATCHES = (1, 2, 4, 8, 16, 32, 64)
NEVER = 51_300
"""An end token no prompt and no answer holds: the generation runs to its cap, as the peer's is made to."""


class Bench:
    """What every row needs: the folder of built models, and the peer."""

    def __init__(self, folder: Path, peer: Path, rounds: int) -> None:
        self.folder, self.peer, self.rounds = folder, peer, rounds

    def peer_run(self, *given: str) -> Any:
        """Runs the peer's half; its JSON line, if it printed one."""
        command = [str(self.peer), "-m", "bench._models_peer", *given]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"the peer failed ({' '.join(given)}): {done.stderr[-600:]}")
        return json.loads(done.stdout.splitlines()[-1]) if given[0] == "run" else None

    def built(self, kind: str, precisions: tuple[str, ...]) -> Path:
        """The model's folder; built at the first call, which takes minutes."""
        folder = self.folder / kind
        marker = folder / f".built-{'-'.join(precisions)}"
        if not marker.is_file():
            folder.mkdir(parents=True, exist_ok=True)
            self.peer_run("build", str(folder), kind, *precisions)
            if kind != "siglip":
                # Any Florence-2 tokenizer serves: the weights are random, and both sides get the same ids.
                for name in ("tokenizer.json", "generation_config.json"):
                    shutil.copyfile(GOLDEN / name, folder / name)
            side = 224 if kind == "siglip" else 768
            size = {"size": {"height": side, "width": side}, "resample": 3}
            norm = {} if kind == "siglip" else {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
            (folder / "preprocessor_config.json").write_text(json.dumps(size | norm))
            marker.touch()
        return folder


def timed(rounds: int, call: Callable[[], Any], clock: Callable[[], float] = time.perf_counter) -> float:
    """Median seconds, after one call to warm up."""
    call()
    seconds = []
    for _ in range(rounds):
        start = clock()
        call()
        seconds.append(clock() - start)
    return median(seconds)


def florence2(
    folder: Path, batch: int, clock: Callable[[], float] = time.perf_counter, **given: Any
) -> tuple[Any, Callable[[], dict[str, float]]]:
    """A loaded model, and a call that answers a batch: seconds of its parts."""
    from stream.infer import Florence2

    model = Florence2.load(folder, slots=batch, **given)
    model.decoding.rules = replace(model.decoding.rules, eos=NEVER)
    picture = np.random.default_rng(0).integers(0, 256, (768, 768, 3), dtype=np.uint8)
    pictures = [picture] * batch

    def answer() -> dict[str, float]:
        marks = [clock()]
        seen = model.see(pictures)
        marks.append(clock())
        rows = [model.row(index, "<OD>") for index in range(batch)]
        for row in rows:
            row.max_tokens = TOKENS + 1  # and then the forced end, which costs no step
        model.decoding.admit(seen, rows)
        marks.append(clock())
        while model.decoding.active:
            model.decoding.step()
        marks.append(clock())
        answer.tokens = [2, *(token.id for token in model.tokens(rows[0]))][: TOKENS + 1]  # type: ignore[attr-defined]
        vision, encoder, decode = (after - before for before, after in pairwise(marks))
        return {"vision": vision, "encoder": encoder, "decode": decode}

    seen = model.see([picture])
    np.savez(
        folder / "inputs.npz", pixel_values=model.preprocess.normalise(picture[None]), image_tokens=seen.tokens,
        ids=model.row(0, "<OD>").ids, tokens=TOKENS,
    )  # fmt: skip
    return model, answer


def parts(rounds: int, answer: Callable[[], dict[str, float]]) -> dict[str, float]:
    """Median seconds of each part."""
    answer()
    runs = [answer() for _ in range(rounds)]
    return {name: median(run[name] for run in runs) for name in runs[0]}


def cpu_florence2(bench: Bench) -> Iterator[dict[str, Any]]:
    folder = bench.built("base", ("fp32", "int8"))
    ours, said = {}, {}
    for precision in ("fp32", "int8"):
        _, answer = florence2(folder, 1, time.thread_time, provider="cpu", precision=precision, threads=1)
        ours[precision] = parts(bench.rounds, answer)
        said[precision] = answer.tokens  # type: ignore[attr-defined]
    peer = bench.peer_run("run", str(folder), "base", "cpu", str(bench.rounds), "1")
    for precision, seconds in ours.items():
        total = sum(seconds.values())
        yield {
            "row": f"florence2-base cpu {precision}", "threads": 1, "tokens": TOKENS, "seconds": round(total, 3),
            **{name: round(value, 3) for name, value in seconds.items()},
            "transformers_seconds": round(peer["seconds"], 3), "ratio": round(peer["seconds"] / total, 2),
            "same_tokens": said[precision] == peer["tokens"],
        }  # fmt: skip


def cpu_siglip(bench: Bench) -> Iterator[dict[str, Any]]:
    from stream.infer.preprocess import Preprocess
    from stream.infer.session import open_session

    folder = bench.built("siglip", ("fp32", "int8"))
    pixels = np.random.default_rng(0).integers(0, 256, (1, 224, 224, 3), dtype=np.uint8)
    values = Preprocess(224, 224, (0.5,) * 3, (0.5,) * 3).normalise(pixels)
    np.savez(folder / "inputs.npz", pixel_values=values)
    rounds = 4 * bench.rounds
    ours, vectors = {}, {}
    for precision, suffix in (("fp32", ""), ("int8", "_int8")):
        path = folder / f"vision_model{suffix}.onnx"
        graph = open_session(path, provider="cpu", precision=precision, threads=1)
        vectors[precision] = graph.run({"pixels": pixels})["pooler_output"][0]
        ours[precision] = timed(  # type: ignore[misc]
            rounds, lambda graph=graph: graph.run({"pixels": pixels}), time.thread_time
        )
    peer = bench.peer_run("run", str(folder), "siglip", "cpu", str(rounds), "1")
    for precision, seconds in ours.items():
        pair = vectors["fp32"], vectors[precision]
        cosine = pair[0] @ pair[1] / np.linalg.norm(pair[0]) / np.linalg.norm(pair[1])
        yield {
            "row": f"siglip-base-224 cpu {precision}", "threads": 1, "seconds": round(seconds, 4),
            "transformers_seconds": round(peer["seconds"], 4), "ratio": round(peer["seconds"] / seconds, 2),
            "cosine_to_fp32": round(float(cosine), 5),
        }  # fmt: skip


def preprocessing(bench: Bench) -> Iterator[dict[str, Any]]:
    """Processor time of one thread: what a core does, whoever else wants it."""
    import cv2

    from stream.infer.preprocess import Preprocess

    rng = np.random.default_rng(0)
    scene = cv2.GaussianBlur(rng.integers(0, 256, (720, 1280, 3), dtype=np.uint8), (0, 0), 3)
    jpeg = cv2.imencode(".jpg", scene)[1]
    cv2.setNumThreads(1)
    prepare = Preprocess(768, 768, (0.5,) * 3, (0.5,) * 3)
    decode = timed(20, lambda: cv2.cvtColor(cv2.imdecode(jpeg, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB), time.thread_time)
    rgb = cv2.cvtColor(scene, cv2.COLOR_BGR2RGB)
    resize = timed(20, lambda: prepare.pixels(rgb), time.thread_time)
    rate = 1 / (decode + resize)
    yield {
        "row": "preprocessing 1280x720 jpeg to 768x768", "decode_ms": round(decode * 1e3, 2),
        "resize_ms": round(resize * 1e3, 2), "images_per_s_per_core": round(rate, 1),
        "cores_for_350_images_per_s": round(350 / rate, 1), "cores_for_600_images_per_s": round(600 / rate, 1),
    }  # fmt: skip


def gpu(bench: Bench, peak_tflops: float) -> Iterator[dict[str, Any]]:
    from stream.infer.buffers import Buffer

    if not _has_cuda():
        yield {"row": "gpu", "result": "not run: no CUDA device"}
        return
    for kind in ("base", "large"):
        folder = bench.built(kind, ("fp16",))
        rates = []
        for batch in BATCHES:
            model, answer = florence2(folder, batch, provider="cuda", precision="fp16")
            if model.provider != "CUDAExecutionProvider":
                yield {"row": "gpu", "result": f"not run: onnxruntime fell back to {model.provider}"}
                return
            seconds = parts(bench.rounds, answer)
            stack = np.zeros((batch, 768, 768, 3), np.uint8)
            buffer = Buffer(stack.shape, np.uint8, "cuda")
            copies = timed(10, lambda buffer=buffer, stack=stack: buffer.write(stack))  # type: ignore[misc]
            total = sum(seconds.values())
            peer = bench.peer_run("run", str(folder), kind, "cuda", str(bench.rounds), str(batch))["seconds"]
            rates.append(batch / peer)
            yield {
                "row": f"florence2-{kind} gpu fp16", "batch": batch, "tokens": TOKENS,
                "images_per_s": round(batch / total, 1), "transformers_images_per_s": round(batch / peer, 1),
                "ratio": round(peer / total, 2), "ratio_to_its_best": round(batch / total / max(rates), 2),
                "share": {name: round(value / total, 3) for name, value in {**seconds, "copies": copies}.items()},
                "of_roofline": round(GFLOP[kind] * batch / total / 1e3 / peak_tflops, 3),
            }  # fmt: skip


def _has_cuda() -> bool:
    import onnxruntime  # the bench asks the library, not our wrapper of it

    return "CUDAExecutionProvider" in onnxruntime.get_available_providers() and shutil.which("nvidia-smi") is not None


def _cpu() -> str:
    """The ratio depends on it: MKL, which torch uses, is slow on other makers' processors."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").is_file() else []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="bench models", description=__doc__)
    parser.add_argument("--peer-python", type=Path, default=ROOT / ".env-export" / "bin" / "python")
    parser.add_argument("--folder", type=Path, default=ROOT / "out" / "bench-models", help="where built models stay")
    parser.add_argument("--only", choices=["florence2", "siglip", "preprocessing", "gpu"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peak-tflops", type=float, default=989.0, help="dense fp16 of the device (H200: 989)")
    args = parser.parse_args(argv)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    bench = Bench(args.folder.resolve(), args.peer_python.absolute(), args.rounds)
    rows: dict[str, Callable[[], Iterator[dict[str, Any]]]] = {
        "preprocessing": lambda: preprocessing(bench),
        "siglip": lambda: cpu_siglip(bench),
        "florence2": lambda: cpu_florence2(bench),
        "gpu": lambda: gpu(bench, args.peak_tflops),
    }
    for name in [args.only] if args.only else list(rows):
        for row in rows[name]():
            print(json.dumps({"bench": "models", "cpu": _cpu(), **row}), flush=True)
    return 0
