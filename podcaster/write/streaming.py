"""Hand a growing text on piece by piece: whole characters, and nothing that may begin a stop."""

import codecs


class StreamedText:
    """The text of tokens as they come; `stop_texts` end it and are not part of it."""

    def __init__(self, stop_texts: tuple[str, ...] = ()) -> None:
        self._stops = tuple(stop for stop in stop_texts if stop)
        self._decoder = codecs.getincrementaldecoder("utf-8")("ignore")
        self._held = ""
        self.stopped = False

    def add(self, piece: bytes) -> str:
        """What may be shown now that a token has come; often nothing."""
        if self.stopped:
            return ""
        text = self._held + self._decoder.decode(piece)
        places = [place for stop in self._stops if (place := text.find(stop)) >= 0]
        if places:
            self.stopped = True
            self._held = ""
            return text[: min(places)]
        held = self._count_held(text)
        self._held = text[len(text) - held :]
        return text[: len(text) - held]

    def finish(self) -> str:
        """What was held back, and proved to begin no stop; half a character is dropped."""
        rest, self._held = self._held, ""
        return rest

    def _count_held(self, text: str) -> int:
        """How many of the last characters may be the beginning of a stop."""
        lengths = (
            length
            for stop in self._stops
            for length in range(min(len(stop) - 1, len(text)), 0, -1)
            if text.endswith(stop[:length])
        )
        return max(lengths, default=0)
