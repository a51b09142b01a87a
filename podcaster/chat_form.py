"""A chat template taken apart: what begins a chat, opens a turn and closes one.

Templates render whole chats; a conversation grows turn by turn, and the host's turns (the user's)
are written like the guest's. So the template is rendered once with marks in place of texts, and cut
at the marks.
"""

from podcaster.chat_template import Messages, Refused, SandboxedTemplate, explain_broken
from podcaster.errors import EngineError
from podcaster.model import Role

_SYSTEM, _ASKED, _ANSWER, _AGAIN = (f"PODCASTER{name}MARK" for name in ("S", "Q", "A", "N"))
_MOST_CHARACTERS = 100_000
_MOST_LOOP_STEPS = 10_000


class ChatForm:
    """The pieces of a chat template, with the host as its user and the guest as its assistant.

    Raises EngineError for a template that fails, or that leaves out or reorders what is said.
    """

    def __init__(self, source: str, *, bos: str = "", eos: str = "") -> None:
        self._template = SandboxedTemplate(source, bos=bos, eos=eos)
        chat = [_say("user", _ASKED), _say("assistant", _ANSWER), _say("user", _AGAIN)]
        whole = self._render_with_system(chat)
        places = [whole.find(mark) for mark in (_SYSTEM, _ASKED, _ANSWER, _AGAIN)]
        if -1 in places or places != sorted(places):
            raise EngineError(
                "The model's chat template leaves out or reorders what is said.",
                next_step="Choose another model: `podcaster setup` lists some.",
            )
        self._head, rest = whole.split(_SYSTEM, 1)
        self._after_system, rest = rest.split(_ASKED, 1)
        asked, rest = rest.split(_ANSWER, 1)
        answered = rest.split(_AGAIN, 1)[0]
        self._close_user = self._end_of(chat[:1], _ASKED, asked)
        self._close_assistant = self._end_of(chat[:2], _ANSWER, answered)
        self._open_assistant = asked[len(self._close_user) :]
        self._open_user = answered[len(self._close_assistant) :]

        # where the system's message is part of the first turn, nothing else opens that turn
        own = self._after_system.endswith(self._open_user)
        self.open_first = self._open_user if own else ""
        self.close_system = self._after_system.removesuffix(self.open_first)

    @property
    def head(self) -> str:
        """What precedes the system's message; `close_system` follows it, then `open_first`."""
        return self._head

    def open_turn(self, role: Role) -> str:
        """What precedes a later turn of this role."""
        return self._open_user if role == "host" else self._open_assistant

    def close_turn(self, role: Role) -> str:
        """What follows a turn of this role."""
        return self._close_user if role == "host" else self._close_assistant

    def _render_with_system(self, chat: Messages) -> str:
        """The chat with a system's message, which joins the first turn where it must."""
        try:
            whole = self._render([_say("system", _SYSTEM), *chat])
            if _SYSTEM in whole:
                return whole
        except Refused:
            pass  # several templates refuse the role
        first = _say("user", f"{_SYSTEM}\n\n{_ASKED}")
        try:
            return self._render([first, *chat[1:]])
        except Refused as error:
            raise explain_broken(error) from error

    def _end_of(self, chat: Messages, mark: str, between: str) -> str:
        """What ends a turn, of what lies between it and the next: what a chat that ends there has.

        Nothing where a chat that ends there looks otherwise: then all belongs to the next turn.
        """
        try:
            end = self._render_with_system(chat).split(mark, 1)[-1]
        except EngineError:
            return ""
        return end if between.startswith(end) else ""

    def _render(self, messages: Messages) -> str:
        return self._template.render(
            messages,
            most_characters=_MOST_CHARACTERS,
            most_loop_steps=_MOST_LOOP_STEPS,
            add_generation_prompt=False,
        )


def _say(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}
