"""How an instruct model is asked for a script: its task, said once, and the form of its lines.

Training spells a show's conversations in this form, and the writer asks in it, so that what was
learned is what is asked for.
"""

from collections.abc import Sequence


def describe_task(host: str, guest: str, language: str) -> tuple[str, ...]:
    """What the model is told once for all: who talks, and how lines are written."""
    return (
        "You write the script of a podcast episode that is spoken aloud: an interview.",
        f"{host} is the host and asks. {guest} is the guest and answers.",
        f"Every turn is one line that begins with the speaker's name and a colon, in the "
        f"language {language}.",
        "Write only what is said: no stage directions, no markdown, no lists, no addresses, no "
        "advertisements. Short sentences, as people speak. Nobody repeats what was said.",
        "The host's turns are short and mostly end in a question. The guest's are longer.",
    )


def assign(minutes: float, guest: str, topics: Sequence[str], steer: str = "") -> str:
    """What one episode is to be about."""
    about = "; ".join(topics) or "the guest's life and work"
    wishes = f"\nWishes: {steer}" if steer else ""
    return f"An episode of about {minutes:.0f} minutes. Guest: {guest}. Topics: {about}.{wishes}"


def open_line(name: str) -> str:
    """The beginning of a turn's line."""
    return f"{name}:"
