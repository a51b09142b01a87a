"""Download models from the hub: shown, resumed, checked, and only those that were asked for."""

import errno
import hashlib
import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Protocol

from podcaster.errors import EngineError, PodcasterError, RunError, foreign
from podcaster.progress import Progress
from podcaster.setup.cache import cached_path
from podcaster.setup.catalogue import Model
from podcaster.setup.machine import SPARE_DISK_BYTES, free_bytes, hub_cache_folder
from podcaster.units import format_bytes

POLL_S = 0.25
CHUNK_BYTES = 1 << 20  # what a broken connection costs at most
FRUITLESS_ATTEMPTS = 3  # connections in a row that bring nothing, before it is given up
TIMEOUT_S = 15
OUT_OF_RANGE = 416  # HTTP: a part was asked for that the file does not have


class HubFile(Protocol):
    """A large file on the hub, exactly: `revision` is a commit, `sha256` its content's.

    `name` is what `podcaster setup` calls the model that it belongs to.
    """

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def repo(self) -> str: ...  # noqa: D102

    @property
    def filename(self) -> str: ...  # noqa: D102

    @property
    def revision(self) -> str: ...  # noqa: D102

    @property
    def sha256(self) -> str: ...  # noqa: D102

    @property
    def size_bytes(self) -> int: ...  # noqa: D102


@dataclass(frozen=True)
class Download:
    """What became of a model that was asked for: a path, or the error that kept it away.

    `fetched_bytes` came over the network now; 0 where the file was there already.
    """

    model: Model
    path: Path | None
    fetched_bytes: int
    error: PodcasterError | None


def download(models: Sequence[Model], progress: Progress) -> tuple[Download, ...]:
    """Fetch models one after the other; one that fails does not stop the rest.

    A download that was killed, or cut off, goes on where it stopped when it is asked for again.
    """
    results = []
    for model in models:
        try:
            path, fetched_bytes = download_model(model, progress)
            results.append(Download(model, path, fetched_bytes, None))
        except PodcasterError as error:
            results.append(Download(model, None, 0, error))
    return tuple(results)


def download_model(model: Model, progress: Progress) -> tuple[Path, int]:
    """Bring one model into the hub's cache: its path, and the bytes that came over the network.

    The file is hashed in any case, and removed if it is not what the catalogue means. Honours
    HF_ENDPOINT, HF_HOME, HF_HUB_CACHE and HF_TOKEN.
    Raises EngineError (unreachable, refused, not there, damaged) or RunError (no room on disk).
    """
    path = cached_path(model)
    if path is not None:
        _check_file(path, model, progress)
        return path, 0
    with explaining(model):
        _check_hub(model)
    return download_file(model, progress)


def download_file(file: HubFile, progress: Progress) -> tuple[Path, int]:
    """Bring one large file into the hub's cache and hash it: its path, and the bytes that came.

    Raises as `download_model` does.
    """
    with explaining(file):
        arrived = _arrived_bytes(file)
        _check_disk(file, arrived)
        path = _fetch(file, progress)
    _check_file(path, file, progress)
    return path, file.size_bytes - arrived


def open_hub() -> ModuleType:
    """The hub's library, set so that what has arrived is never fetched again.

    Its Xet protocol starts a killed download from nothing (huggingface_hub issues 3648, 4196);
    plain HTTP asks for the missing range only.
    """
    import huggingface_hub
    from huggingface_hub import constants
    from huggingface_hub.utils.tqdm import disable_progress_bars

    constants.HF_HUB_DISABLE_XET = True
    constants.HF_HUB_ENABLE_HF_TRANSFER = False
    constants.DOWNLOAD_CHUNK_SIZE = CHUNK_BYTES
    disable_progress_bars()
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    return huggingface_hub


def _check_hub(model: HubFile) -> None:
    """Ask the hub what it would send, before gigabytes of something else arrive."""
    api = open_hub().HfApi()
    info = api.model_info(
        model.repo, revision=model.revision, files_metadata=True, timeout=TIMEOUT_S
    )
    files = {sibling.rfilename: sibling for sibling in info.siblings or ()}
    file = files.get(model.filename)
    if file is None:
        raise _not_there(model)
    offered = file.lfs.sha256 if file.lfs else "of a small file"
    if offered != model.sha256 or file.size != model.size_bytes:
        raise EngineError(
            f"The hub offers another {model.filename} than this podcaster knows: "
            f"{format_bytes(file.size or 0)}, SHA-256 {offered[:16]}, expected "
            f"{format_bytes(model.size_bytes)}, SHA-256 {model.sha256[:16]}; nothing was fetched.",
            next_step="Update with `pip install --upgrade podcaster`, or name a .gguf file of "
            "your own as the model.",
        )


def _check_disk(model: HubFile, arrived: int) -> None:
    folder = hub_cache_folder()
    free, needed = free_bytes(folder), model.size_bytes - arrived + SPARE_DISK_BYTES
    if free < needed:
        raise _disk_full(model, f"{format_bytes(free)} are free, {format_bytes(needed)} needed")


def _fetch(model: HubFile, progress: Progress) -> Path:
    """Fetch, and go on after a broken connection as long as every new one brings something."""
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
    from requests.exceptions import ChunkedEncodingError, ContentDecodingError

    fruitless = 0
    while True:
        before = _arrived_bytes(model)
        try:
            return _fetch_once(model, progress)
        except (ChunkedEncodingError, ContentDecodingError):
            fruitless = 0 if _arrived_bytes(model) > before else fruitless + 1
        except LocalEntryNotFoundError:
            raise
        except HfHubHTTPError as error:
            if error.response.status_code != OUT_OF_RANGE:
                raise
            # what lies there is longer than the file: it belongs to something else
            _incomplete_path(model).unlink(missing_ok=True)
            fruitless += 1
        arrived = f"{format_bytes(_arrived_bytes(model))} of {format_bytes(model.size_bytes)}"
        if fruitless >= FRUITLESS_ATTEMPTS:
            raise EngineError(
                f"The download of {model.name} was cut off again and again, at {arrived}.",
                next_step=f"Type `podcaster setup {model.name}` again when the connection is "
                "better: it goes on from there.",
            )
        progress.note(f"{model.name}: the connection broke at {arrived}; going on from there.")


def _fetch_once(model: HubFile, progress: Progress) -> Path:
    """Download in a thread while this one reports, so that reports come from one thread only."""
    hub = open_hub()
    found: list[str] = []
    failed: list[Exception] = []

    def work() -> None:
        try:
            found.append(
                hub.hf_hub_download(
                    model.repo, model.filename, revision=model.revision, etag_timeout=TIMEOUT_S
                )
            )
        except Exception as error:  # noqa: BLE001 (raised again by the thread that waits)
            failed.append(error)

    # a daemon: Ctrl-C ends the program at once, and what has arrived lies on disk
    worker = threading.Thread(target=work, name=f"download {model.name}", daemon=True)
    worker.start()
    while worker.is_alive():
        worker.join(POLL_S)
        _report(progress, "download", model, _arrived_bytes(model))
    if failed:
        raise failed[0]
    _report(progress, "download", model, model.size_bytes)
    return Path(found[0])


def _check_file(path: Path, model: HubFile, progress: Progress) -> None:
    """Hash the whole file; one that is not what was meant is removed, so that nobody loads it."""
    hashed = hashlib.sha256()
    done = 0
    with foreign(RunError, f"Reading {path}", OSError), path.open("rb") as file:
        while block := file.read(16 * CHUNK_BYTES):
            hashed.update(block)
            done += len(block)
            _report(progress, "check", model, done)
    if hashed.hexdigest() == model.sha256:
        return
    with foreign(RunError, f"Removing the damaged {path}", OSError):
        path.resolve().unlink(missing_ok=True)
        path.unlink(missing_ok=True)
    raise EngineError(
        f"The file of {model.name} is damaged and was removed: its SHA-256 is "
        f"{hashed.hexdigest()[:16]}…, expected {model.sha256[:16]}….",
        next_step=f"Fetch it anew with `podcaster setup {model.name}`.",
    )


def _report(progress: Progress, verb: str, model: HubFile, done_bytes: int) -> None:
    progress.report(f"{verb} {model.name}", done_bytes / 1e6, model.size_bytes / 1e6, "MB")


def _incomplete_path(model: HubFile) -> Path:
    # the hub's library names a half download after the ETag, which for large files is the SHA-256
    repo_folder = f"models--{model.repo.replace('/', '--')}"
    return hub_cache_folder() / repo_folder / "blobs" / f"{model.sha256}.incomplete"


def _arrived_bytes(model: HubFile) -> int:
    try:
        return _incomplete_path(model).stat().st_size
    except OSError:
        return 0


@contextmanager
def explaining(model: HubFile) -> Iterator[None]:
    """Turn what the hub's library raises into sentences. Their order is that of their classes."""
    from huggingface_hub import errors
    from requests import RequestException

    again = f"type `podcaster setup {model.name}` again: what has arrived is kept"
    try:
        yield
    except PodcasterError:
        raise
    except errors.OfflineModeIsEnabled as error:
        raise EngineError(
            f"{model.name} cannot be downloaded: HF_HUB_OFFLINE forbids it.",
            next_step="Unset HF_HUB_OFFLINE and type `podcaster setup` again.",
        ) from error
    except errors.LocalEntryNotFoundError as error:
        raise _unreachable(model, error.__cause__ or error, again) from error
    except errors.HfHubHTTPError as error:
        raise _explain_status(model, error.response.status_code, again) from error
    except RequestException as error:
        raise _unreachable(model, error, again) from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise _disk_full(model, "the disk is full") from error
        raise RunError(
            f"{model.name} cannot be written to {hub_cache_folder()}: {_first_line(error)}.",
            next_step="Make that folder writable, or point HF_HOME at another one.",
        ) from error
    except Exception as error:  # the border with another library
        raise EngineError(
            f"Downloading {model.name} failed: {_first_line(error)}.", next_step=f"Please {again}."
        ) from error


def _explain_status(model: HubFile, status: int, again: str) -> EngineError:
    page = f"{_endpoint()}/{model.repo}"
    if status in (401, 403):
        return EngineError(
            f"The hub does not let you read {model.repo} (HTTP {status}).",
            next_step=f"Accept the terms at {page}, put a token of yours in HF_TOKEN, and {again}.",
        )
    if status == 404:
        return _not_there(model)
    return EngineError(
        f"The hub at {_endpoint()} answered HTTP {status} for {model.repo}.",
        next_step=f"Wait a little, then {again}.",
    )


def _not_there(model: HubFile) -> EngineError:
    return EngineError(
        f"The hub at {_endpoint()} has no {model.filename} in {model.repo} at revision "
        f"{model.revision[:12]}.",
        next_step="Update with `pip install --upgrade podcaster`, choose another model of "
        "`podcaster setup`, or correct HF_ENDPOINT if you set it.",
    )


def _unreachable(model: HubFile, error: BaseException, again: str) -> EngineError:
    return EngineError(
        f"The hub at {_endpoint()} cannot be reached for {model.name} ({type(error).__name__}).",
        next_step=f"Check the network and HF_ENDPOINT, then {again}.",
    )


def _disk_full(model: HubFile, why: str) -> RunError:
    return RunError(
        f"There is no room for {model.name} ({format_bytes(model.size_bytes)}) in "
        f"{hub_cache_folder()}: {why}.",
        next_step="Make room, or point HF_HOME at a larger disk, then type "
        f"`podcaster setup {model.name}` again: what has arrived is kept.",
    )


def _endpoint() -> str:
    from huggingface_hub import constants

    return str(constants.ENDPOINT)


def _first_line(error: BaseException) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0].rstrip(".")
