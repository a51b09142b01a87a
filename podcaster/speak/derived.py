"""What engines compute from a voice's references: kept in the voice's own folder, by content.

So it is computed once, and goes when the voice is removed.
"""

import hashlib
import re
from pathlib import Path

from podcaster.errors import VoiceError
from podcaster.model import Voice

DERIVED = "derived"


def derived_path(voice: Voice, engine_id: str, suffix: str) -> Path:
    """Where an engine keeps what it computed from a voice's references; the file may be absent.

    `engine_id` names the engine, its model, and whatever else decides the content; the name holds
    a hash of it and of the references' bytes. `suffix` begins with a dot.

    Raises VoiceError where the voice has no references, or one cannot be read.
    """
    if not voice.references:
        raise VoiceError(
            f"Voice {voice.name!r} has no references, so nothing can be derived from it.",
            next_step=f"Add recordings: `podcaster voice add {voice.name} AUDIO...`.",
        )
    digest = hashlib.sha256(engine_id.encode())
    for reference in voice.references:
        try:
            with Path(reference).open("rb") as opened:
                digest.update(hashlib.file_digest(opened, "sha256").digest())
        except OSError as error:
            raise VoiceError(f"{reference} cannot be read: {error.strerror or error}.") from error
    name = re.sub(r"[^a-z0-9]+", "-", engine_id.lower()).strip("-")[:24] or "engine"
    folder = Path(voice.references[0]).parent / DERIVED
    return folder / f"{name}-{digest.hexdigest()[:16]}{suffix}"
