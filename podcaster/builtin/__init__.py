"""What works with nothing downloaded: the small dialogue model, its card and its word tables."""

from pathlib import Path

_HERE = Path(__file__).parent

MODEL_PATH = _HERE / "dialogue.gguf"
NGRAMS_PATH = _HERE / "training-ngrams.bloom"
ADAPTER_PATH = _HERE / "dialogue-adapter.gguf"
IDF_PATH = _HERE / "idf.json.gz"
CARD_PATH = _HERE / "CARD.md"
