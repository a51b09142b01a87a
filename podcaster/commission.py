"""How an instruct model is asked for a conversation: its task, said once, and the form of turns.

A large model writes a *script*: one answer, a line a turn. A small one is led through a *chat*: the
host is the user, the guest the assistant, and each turn is a message. Training spells a show's
conversations in the same form, so that what was learned is what is asked for.
"""

from collections.abc import Sequence
from typing import Literal

Form = Literal["script", "chat"]
SMALL_PARAMETERS = 2_000_000_000  # below, a model holds no outline and mirrors its own lines
MOST_FACTS = 8


def choose_form(parameters: int) -> Form:
    """The form in which a model of so many parameters is asked, and trained."""
    return "chat" if parameters < SMALL_PARAMETERS else "script"


def brief_guest(host: str, guest: str, topics: Sequence[str], facts: Sequence[str] = ()) -> str:
    """The system message of a chat: who talks with whom, about what, and what the guest knows."""
    about = f" about {', '.join(topics)}" if topics else ""
    lines = [
        f"You are {guest}, the guest of a podcast. {host}, the host, talks with you{about}.",
        "Answer in your own words, as you would speak: what you did, saw and think, and why.",
    ]
    if facts:
        lines.append("What you can tell:")
        lines += [f"- {fact}" for fact in facts[:MOST_FACTS]]
    return "\n".join(lines)


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
