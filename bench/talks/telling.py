"""Whether a classifier can tell made turns from real ones: the area under its ROC curve.

Logistic regression on features of each turn, tried on conversations that it was not fitted to.
0.5 is chance; 1 is told every time.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.talks.conversation import Conversation
from bench.talks.meaning import Embedder
from bench.talks.wording import share_new_words
from podcaster.talk.profile import FILLERS, FUNCTION_WORDS, find_fillers
from podcaster.units import split_words
from podcaster.write.sentences import split_sentences

Features = npt.NDArray[np.float64]

FOLDS = 5
STRENGTH = 0.05  # of the regression, the inverse of its penalty: hundreds of features, few turns
MARKS = ",;:-–—…!?\"'"


def measure_telling(
    made: Sequence[Conversation], real: Sequence[Conversation], embedder: Embedder
) -> dict[str, float]:
    """`auc` by everything, and `auc_form` without meaning, for topics differ among shows, too.

    Nothing where there are fewer made conversations than FOLDS.
    """
    if min(len(made), len(real)) < FOLDS:
        return {}
    talks = [*made, *real]
    labels = np.array([i < len(made) for i, talk in enumerate(talks) for _ in talk.turns])
    groups = np.array([i for i, talk in enumerate(talks) for _ in talk.turns])
    form = np.concatenate([describe_form(talk, embedder) for talk in talks])
    meaning = np.concatenate([embedder.embed([t.text for t in talk.turns]) for talk in talks])
    return {
        "auc": round(cross_validate(np.hstack([form, meaning]), labels, groups), 3),
        "auc_form": round(cross_validate(form, labels, groups), 3),
        "turns": int(labels.sum()),
        "real_turns": int((~labels).sum()),
    }


def describe_form(talk: Conversation, embedder: Embedder) -> Features:
    """A row a turn: its side, lengths, marks, function words, fillers, and its like before it.

    None of them says what is talked about.
    """
    vectors = embedder.embed([turn.text for turn in talk.turns])
    likeness = vectors @ vectors.T
    news = share_new_words([turn.text for turn in talk.turns])
    rows = []
    for i, turn in enumerate(talk.turns):
        words = split_words(turn.text)
        count = max(1, len(words))
        tally = Counter(words)
        fillers = Counter(find_fillers(words))
        rows.append(
            [
                float(turn.role == "host"),
                np.log(count),
                count / max(1, len(split_sentences(turn.text))),
                len(tally) / count,
                sum(map(len, words)) / count,
                float("?" in turn.text),
                float(likeness[i, i - 1]) if i else 0.0,
                float(likeness[i, :i].max()) if i else 0.0,
                1.0 if (new := news[i]) is None else new,
                *(turn.text.count(mark) / count for mark in MARKS),
                *(tally[word] / count for word in sorted(FUNCTION_WORDS)),
                *(fillers[word] / count for word in FILLERS),
            ]
        )
    return np.array(rows, dtype=np.float64)


def cross_validate(
    features: Features, labels: npt.NDArray[np.bool_], groups: npt.NDArray[np.int64]
) -> float:
    """The mean area over folds; a group is never both fitted to and judged."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    areas = []
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0)
    for fitted, judged in folds.split(features, labels, groups):
        model: Any = make_pipeline(
            StandardScaler(), LogisticRegression(C=STRENGTH, class_weight="balanced", max_iter=500)
        )
        model.fit(features[fitted], labels[fitted])
        areas.append(area(model.decision_function(features[judged]), labels[judged]))
    return float(np.mean(areas))


def area(scores: npt.NDArray[np.float64], labels: npt.NDArray[np.bool_]) -> float:
    """The chance that a made turn scores above a real one; ties count half."""
    above = scores[labels][:, None] - scores[~labels][None, :]
    return float(((above > 0) + 0.5 * (above == 0)).mean())
