"""Tiny tokenizers of the same kinds as the real checkpoints', because those cannot be fetched everywhere."""

from __future__ import annotations

from collections.abc import Iterator

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import BartTokenizerFast, PreTrainedTokenizerFast

WORDS = (
    "Locate the objects with category name in the image. What does the region describe? What is the text in the image, "
    "with regions? Describe in detail what is shown in the image. Describe with a paragraph. Locate the phrases in the "
    "caption: a red car and a brown dog on the driveway at night. What is the polygon mask of region. wheel door "
    "handle person bicycle package cat white black green street lawn house photo of two"
)
"""What the merges are made of: the prompts of the tasks, and words of the domain."""


def _paired(*names: str) -> list[str]:
    return [token for name in names for token in (f"<{name}>", f"</{name}>")]


FLORENCE2_ADDED = [
    *_paired("od", "ocr"),
    *(f"<loc_{n}>" for n in range(1000)),
    *_paired("cap", "ncap", "dcap", "grounding", "seg"),
    "<sep>",
    *_paired("region_cap", "region_to_desciption", "proposal", "poly"),
    "<and>",
]
"""The added tokens of Florence-2, in the order of their ids (the misspelt one is the checkpoint's)."""


def _merges(words: list[list[str]]) -> list[tuple[str, str]]:
    """Merges that build each word from the left. Written down instead of learnt: a trainer's ties fall by chance."""
    merges: dict[tuple[str, str], None] = {}
    for letters in words:
        built = letters[0]
        for letter in letters[1:4]:
            merges[(built, letter)] = None
            built += letter
    return list(merges)


def _bpe(first: list[str], merges: list[tuple[str, str]], **options: object) -> models.BPE:
    """BPE whose ids are those of `first`, then one for each merge."""
    tokens = [*first, *("".join(pair) for pair in merges)]
    vocabulary = {token: place for place, token in enumerate(dict.fromkeys(tokens))}
    return models.BPE(vocab=vocabulary, merges=merges, **options)


def _octets(text: str) -> list[str]:
    """The letters that byte-level BPE sees: a space is `\u0120`."""
    return list(text.replace(" ", "\u0120"))


def florence2() -> BartTokenizerFast:
    """Byte-level BPE with BART's specials at their ids (`<s>` 0, `<pad>` 1, `</s>` 2) and Florence-2's added tokens."""
    words = sorted({letters for word in WORDS.split() for letters in (word, f" {word}")})
    first = ["<s>", "<pad>", "</s>", "<unk>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    tokenizer = Tokenizer(_bpe(first, _merges([_octets(word) for word in words]), unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    names = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", *FLORENCE2_ADDED, "<image>"]
    tokenizer.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in names])
    return BartTokenizerFast(
        tokenizer_object=tokenizer,
        extra_special_tokens={"image_token": "<image>"},
        additional_special_tokens=FLORENCE2_ADDED,
        model_max_length=1024,
    )


def _pieces() -> Iterator[tuple[str, float]]:
    """Words and characters with made-up scores: longer pieces are likelier than their parts."""
    words = sorted({word.strip(".,:?").lower() for word in WORDS.split()})
    for place, word in enumerate(words):
        yield f"\u2581{word}", -3.0 - place / 64
    yield "\u2581", -4.0
    for place, letter in enumerate("abcdefghijklmnopqrstuvwxyz0123456789"):
        yield letter, -6.0 - place / 64


def siglip() -> PreTrainedTokenizerFast:
    """Unigram over lower-cased text without punctuation; `</s>` (1) ends and pads, as in SigLIP."""
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), *_pieces()]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=2, byte_fallback=False))
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.Lowercase(),
            normalizers.Replace(Regex(r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~]"), ""),
            normalizers.Replace(Regex(r"\s+"), " "),
            normalizers.Strip(),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="</s>", pad_token="</s>", unk_token="<unk>", model_max_length=64
    )


def siglip2() -> PreTrainedTokenizerFast:
    """BPE in Gemma's manner, case kept, `<eos>` (1) at the end, `<pad>` 0: the caller must lower-case, as in SigLIP
    2."""
    letters = sorted("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789\u2581")
    first = ["<pad>", "<eos>", "<bos>", "<unk>", *(f"<0x{n:02X}>" for n in range(256)), *letters]
    words = sorted({f"\u2581{word.strip('.,:?')}" for word in WORDS.split()})
    tokenizer = Tokenizer(_bpe(first, _merges([list(word) for word in words]), unk_token="<unk>", byte_fallback=True))
    tokenizer.normalizer = normalizers.Replace(" ", "\u2581")
    tokenizer.decoder = decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse()])
    tokenizer.post_processor = processors.TemplateProcessing(single="$A <eos>", special_tokens=[("<eos>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<bos>",
        eos_token="<eos>",
        pad_token="<pad>",
        unk_token="<unk>",
        model_max_length=64,
    )


def clip() -> PreTrainedTokenizerFast:
    """Lower-cased BPE with end-of-word marks between `<|startoftext|>` and `<|endoftext|>`, which also pads, as in
    CLIP."""
    start, end = "<|startoftext|>", "<|endoftext|>"
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = sorted({word.strip(".,:?").lower() for word in WORDS.split()})
    merges = _merges([[*word[:-1], f"{word[-1]}</w>"] for word in words])
    # The real vocabulary ends with these two, and CLIP's pooling looks for the largest id.
    first = [*alphabet, *(f"{letter}</w>" for letter in alphabet), *("".join(pair) for pair in merges), start, end]
    model = _bpe(first, merges, unk_token=end, continuing_subword_prefix="", end_of_word_suffix="</w>")
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    pattern = Regex(r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(pattern, "removed", invert=True), pre_tokenizers.ByteLevel(False, use_regex=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{start} $A {end}",
        special_tokens=[(start, tokenizer.token_to_id(start)), (end, tokenizer.token_to_id(end))],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=start, eos_token=end, pad_token=end, unk_token=end, model_max_length=77
    )
