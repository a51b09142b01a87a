"""Keep libraries from telling people what they can do nothing about; what matters, we say."""

import logging
import os


def hush() -> None:
    """Silence transformers and bitsandbytes, before or after they are imported; `cli`, tqdm."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    # a warning on import, of kernels that it would have liked to fetch
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    try:
        from transformers.utils import logging as told
    except ImportError:
        return
    told.set_verbosity_error()
    told.disable_progress_bar()
