"""What comes with the program: the adapter of the built-in writer, its card, a word table."""

from pathlib import Path

_HERE = Path(__file__).parent

ADAPTER_PATH = _HERE / "dialogue-adapter.gguf"
IDF_PATH = _HERE / "idf.json.gz"
CARD_PATH = _HERE / "CARD.md"
