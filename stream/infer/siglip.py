"""SigLIP, SigLIP 2 (fixed resolution) and CLIP: pictures and sentences as unit-norm vectors of one space."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stream.errors import BadModel, InferenceFailed
from stream.infer.manifest import Manifest
from stream.infer.preprocess import Preprocess
from stream.infer.session import Graph, open_session
from stream.infer.tokens import load_tokenizer
from stream.types import Pixels

Vectors = NDArray[np.float32]
"""(N, dims), unit norm."""

_MODEL_TYPES = ("siglip", "siglip2", "clip")
_OUTPUTS = ("image_embeds", "text_embeds", "pooler_output")


class Siglip:
    """The two towers of a checkpoint. Any thread may call `prepare` and `embed_text`; the rest belongs to one."""

    def __init__(
        self,
        vision: Graph,
        text: Graph,
        preprocess: Preprocess,
        words: _Words,
        manifest: Manifest,
        *,
        scale: float | None = None,
        bias: float = 0.0,
        precision: str = "fp32",
    ) -> None:
        self.manifest, self.precision, self.preprocess = manifest, precision, preprocess
        self.provider = vision.provider
        self._vision, self._text, self._words = vision, text, words
        self._scale, self._bias = scale, bias
        self._image_output, self._text_output = _output(vision), _output(text)
        if not {"pixels", "pixel_values"} & set(vision.inputs):
            raise BadModel(f"{vision.name} takes no pictures: it has {', '.join(vision.inputs)}")
        text.require(["input_ids"], [])
        self.dims = 0
        self.dims = self.embed([np.zeros((preprocess.height, preprocess.width, 3), np.uint8)]).shape[1]

    @classmethod
    def load(cls, folder: Path, *, provider: str = "auto", precision: str = "auto", threads: int = 0) -> Siglip:
        """Reads a model folder and verifies what it uses.

        `precision` auto is fp16 on CUDA where there are such files, else fp32.

        Raises:
            BadModel: a file is missing, altered or of another architecture.
            Misconfigured: a provider or precision that cannot be had.
        """
        manifest = Manifest.read(folder)
        config = manifest.json("config.json")
        kind = str(config.get("model_type", "nothing"))
        if kind not in _MODEL_TYPES:
            raise BadModel(f"{folder} holds a {kind} model, not SigLIP or CLIP")
        chosen = precision
        if precision == "auto":
            chosen = "fp32"
            if provider != "cpu" and manifest.has("vision_model", "fp16"):
                probe = open_session(manifest.graph("vision_model", "fp16"), provider=provider)
                chosen = "fp16" if probe.device == "cuda" else "fp32"
        vision, text = (
            open_session(manifest.graph(stem, chosen), provider=provider, precision=chosen, threads=threads)
            for stem in ("vision_model", "text_model")
        )
        preprocess = Preprocess.of(manifest.json("preprocessor_config.json"))
        said = manifest.json("calibration.json", optional=True)
        return cls(
            vision, text, preprocess, _Words(manifest, config, said, text), manifest, scale=said.get("logit_scale"),
            bias=float(said.get("logit_bias", 0.0)), precision=chosen,
        )  # fmt: skip

    def prepare(self, rgb: Pixels) -> Pixels:
        """(H, W, 3) uint8 RGB of any size to what `embed` takes."""
        return self.preprocess.pixels(rgb)

    def embed_images(self, images: Sequence[Pixels]) -> Vectors:
        """Vectors of pictures (H, W, 3) uint8 RGB of any size; (0, dims) of none."""
        return self.embed([self.prepare(image) for image in images])

    def embed(self, prepared: Sequence[Pixels]) -> Vectors:
        """Vectors of prepared pictures; rows that are not finite are given as they are: see `checked`."""
        if not len(prepared):
            return np.zeros((0, self.dims), np.float32)
        stack = np.stack(prepared)
        raw = "pixels" in self._vision.inputs
        feed: dict[str, Any] = {"pixels": stack} if raw else {"pixel_values": self.preprocess.normalise(stack)}
        return _unit(self._vision.run(feed, [self._image_output])[self._image_output])

    def embed_text(self, texts: Sequence[str]) -> Vectors:
        """Vectors of sentences; (0, dims) of none. Too long ones are cut, as in training."""
        if not texts:
            return np.zeros((0, self.dims), np.float32)
        ids, mask = self._words.encode(texts)
        feed = {"input_ids": ids}
        if "attention_mask" in self._text.inputs:
            feed["attention_mask"] = mask
        return _unit(self._text.run(feed, [self._text_output])[self._text_output])

    def probability(self, images: Vectors, texts: Vectors) -> NDArray[np.float32]:
        """(N, M) calibrated probability that text m describes picture n: sigmoid(exp(scale) * cosine + bias) for SigLIP
        (Zhai 2023, eq. 1), a softmax over the texts for CLIP, which has no bias.

        Raises:
            BadModel: the folder has no calibration.json.
        """
        if self._scale is None:
            raise BadModel(f"{self.manifest.folder} has no calibration.json: probabilities need its logit_scale")
        logits = np.exp(self._scale) * (images @ texts.T) + self._bias
        if self.manifest.architecture == "clip":
            spread = np.exp(logits - logits.max(-1, keepdims=True))
            return np.asarray(spread / spread.sum(-1, keepdims=True), np.float32)
        return np.asarray(1 / (1 + np.exp(-logits)), np.float32)


def checked(vector: NDArray[np.float32]) -> NDArray[np.float32]:
    """The vector itself. Raises InferenceFailed when it has NaN or infinity."""
    if not np.isfinite(vector).all():
        raise InferenceFailed("the image tower gave NaN or infinity: this picture cannot be embedded")
    return vector


class _Words:
    """A tokenizer with the padding its model was trained with."""

    def __init__(self, manifest: Manifest, config: dict[str, Any], calibration: dict[str, Any], graph: Graph) -> None:
        text = config.get("text_config", {})
        said = manifest.json("tokenizer_config.json", optional=True)
        self._tokenizer = load_tokenizer(manifest)
        self.length = int(text.get("max_position_embeddings", 77 if manifest.architecture == "clip" else 64))
        self._tokenizer.enable_truncation(self.length)
        token = said.get("pad_token")
        token = token.get("content") if isinstance(token, dict) else token
        pad = self._tokenizer.token_to_id(token) if token else text.get("pad_token_id", 1)
        fixed = graph.inputs["input_ids"].shape[1] if "input_ids" in graph.inputs else None
        # SigLIP pools the last position of 64 and was trained without a mask; CLIP pools its end token, wherever it is.
        self._tokenizer.enable_padding(
            pad_id=int(pad or 0),
            pad_token=token or "<pad>",
            length=self.length if manifest.architecture != "clip" else fixed if isinstance(fixed, int) else None,
        )
        # SigLIP 2 was trained on lower-cased text, and its tokenizer does not do it (arXiv:2502.14786, section 2).
        gemma = "Gemma" in str(said.get("tokenizer_class", "")) or text.get("vocab_size") == 256000
        self._lower = bool(calibration.get("lower_case", gemma or config.get("model_type") == "siglip2"))

    def encode(self, texts: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(N, T) token ids and their mask."""
        found = self._tokenizer.encode_batch([text.lower() if self._lower else text for text in texts])
        return (
            np.array([one.ids for one in found], np.int64),
            np.array([one.attention_mask for one in found], np.int64),
        )


def _output(graph: Graph) -> str:
    for name in _OUTPUTS:
        if name in graph.outputs:
            return name
    raise BadModel(f"{graph.name} gives no vector: it has {', '.join(graph.outputs)}, not one of {', '.join(_OUTPUTS)}")


def _unit(vectors: NDArray[Any]) -> Vectors:
    wide = np.asarray(vectors, np.float32)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(wide / np.linalg.norm(wide, axis=-1, keepdims=True), np.float32)
