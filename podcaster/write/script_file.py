"""Read a script of the user's own from a file."""

import stat
from pathlib import Path

from podcaster.errors import InputError
from podcaster.model import Script
from podcaster.write.disclosure import disclose
from podcaster.write.markdown import LARGEST_SCRIPT_CHARACTERS, ScriptDefaults, parse_script
from podcaster.write.notes import decode_text
from podcaster.write.options import WriteOptions
from podcaster.write.sentences import clean_line


def read_script_file(path: Path, *, options: WriteOptions, seed: int, disclosure: bool) -> Script:
    """Read a script and, with `disclosure`, see to it that it says at once what it is.

    Raises InputError, with file and line, where it cannot be read or nobody speaks.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise InputError(
                f"The script {path} is not a file.", next_step="Check the path of --script."
            )
        if status.st_size > 4 * LARGEST_SCRIPT_CHARACTERS:
            raise InputError(
                f"The script {path} has {status.st_size / 1e6:.1f} MB, expected at most "
                f"{4 * LARGEST_SCRIPT_CHARACTERS // 1_000_000} MB.",
                next_step="Split it into several episodes.",
            )
        content = path.read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(
            f"The script {path} cannot be read: {reason}.", next_step="Check the path of --script."
        ) from error
    guest = clean_line(options.guest)
    defaults = ScriptDefaults(
        title=f"A conversation with {guest}" if guest else path.stem.replace("-", " ") or "Script",
        language=options.language,
        seed=seed,
        host=clean_line(options.host),
        guest=guest,
    )
    script = parse_script(decode_text(content, str(path)), str(path), defaults)
    return disclose(script) if disclosure else script
