"""Joining a cluster: whether anybody answers at its address, and in a sentence why it refuses.

Left to itself, Ray waits for minutes and can end the process where nobody answers.
"""

import re
import socket

from podcaster.errors import ConfigError, EngineError, InputError, PodcasterError
from podcaster.probe import ProbeFailed, run_probe

ANSWER_S = 5.0
JOIN_S = 45.0  # far away, or busy; Ray itself would go on for minutes
AUTO, LOCAL = "auto", "local"  # instead of host:port: what runs here already; one of our own
# Ray tells what keeps it from joining on stderr alone, and goes on trying
TRIAL = """
import json, os, sys, tempfile, threading, time
said = tempfile.TemporaryFile()
os.dup2(said.fileno(), 2)
def end(text):
    print(json.dumps(" ".join(text.split())[:250], ensure_ascii=False), flush=True)
    os._exit(0)
def watch():
    until = time.monotonic() + float(sys.argv[2])
    while time.monotonic() < until:
        time.sleep(0.1)
        for line in os.pread(said.fileno(), 1_000_000, 0).decode(errors="replace").splitlines():
            if "Unauthenticated" in line:
                end(line)
    end("TimeoutError: it took too long")
threading.Thread(target=watch, daemon=True).start()
import ray
try:
    ray.init(address=sys.argv[1], log_to_driver=False, logging_level="CRITICAL")
except BaseException as error:
    end(f"{type(error).__name__}: {error}")
end("")
"""
START_STEP = "Start one with `ray start --head`, or name another with --cluster or RAY_ADDRESS."


def check_address(address: str, *, join_s: float = JOIN_S) -> None:
    """Join the cluster at `address` (`host:port` or `auto`) for a moment, from another process.

    Nothing is waited for longer than `join_s` and a few seconds.
    Raises ConfigError where it is no address, and what `explain_refusal` makes of a refusal.
    """
    if address != AUTO:
        host, port = _split(address)
        try:
            socket.create_connection((host, port), timeout=ANSWER_S).close()
        except OSError as error:
            raise InputError(
                f"No Ray cluster answers at {address}: {error.strerror or error}.",
                next_step=START_STEP,
            ) from error
    try:
        refusal = run_probe(TRIAL, address, str(join_s))
    except ProbeFailed as error:
        raise explain_refusal(address, str(error)) from error
    if refusal:
        raise explain_refusal(address, refusal)


def explain_refusal(address: str, said: str) -> PodcasterError:
    """What Ray said when it was asked to join or start a cluster, as an error of ours."""
    if "Version mismatch" in said:
        versions = re.findall(r"(?:Ray|Python): (\S+)", said)
        theirs, ours = " and ".join(versions[:2]), " and ".join(versions[2:4])
        return InputError(
            f"The cluster at {address} runs Ray and Python {theirs}, and this machine {ours}.",
            next_step="They must be the same: install that Ray with `pip install ray==VERSION`.",
        )
    if "AuthenticationError" in said or "Unauthenticated" in said:
        return EngineError(
            f"The cluster at {address} refuses us: its token is not ours, or we have none.",
            next_step="Put the cluster's token (`ray get-auth-token` on its head) into "
            "~/.ray/auth_token or RAY_AUTH_TOKEN, and set RAY_AUTH_MODE=token.",
        )
    if address == AUTO and "ConnectionError" in said:
        return InputError("No Ray cluster runs on this machine.", next_step=START_STEP)
    if "TimeoutError" in said or "did not answer" in said or "ConnectionError" in said:
        return InputError(
            f"Whatever answers at {address} did not let us join it as a Ray cluster.",
            next_step="This machine must be one of its nodes: type `ray start "
            f"--address={address}` first (with --num-cpus=0 it only hands out work).",
        )
    first = said.strip().splitlines()[0][:300] if said.strip() else "no reason given"
    return EngineError(f"Ray cannot be used ({address}): {first}.")


def _split(address: str) -> tuple[str, int]:
    host, colon, port = address.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or "/" in host or not host:
        raise ConfigError(
            f"{address!r} is no address of a Ray cluster, expected host:port.",
            next_step="Type the address that `ray start --head` printed, such as 10.0.0.1:6379; "
            "auto for the cluster of this machine; local to start one.",
        )
    return host.strip("[]"), int(port)
