"""Spell a whole conversation with a model's chat template."""

from podcaster.chat_template import Messages, Refused, SandboxedTemplate, explain_broken

MOST_LOOP_STEPS = 1_000_000
CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{{ message['content'] }}<|im_end|>\n{% endfor %}"
)


class ChatTemplate:
    """A model's chat template, with the texts of its first and last token.

    Raises EngineError where the template cannot be read.
    """

    def __init__(self, source: str = CHATML, *, bos: str = "", eos: str = "") -> None:
        self._template = SandboxedTemplate(source, bos=bos, eos=eos)
        self.takes_system = self._try_system()

    def spell(self, messages: Messages) -> str:
        """The text that the model reads; a system's message joins the first request if it must.

        Raises EngineError where the template fails.
        """
        if not self.takes_system and messages and messages[0]["role"] == "system":
            request = messages[1] if len(messages) > 1 else {"role": "user", "content": ""}
            joined = f"{messages[0]['content']}\n\n{request['content']}".strip()
            messages = [{"role": request["role"], "content": joined}, *messages[2:]]
        try:
            return self._render(messages)
        except Refused as error:
            raise explain_broken(error) from error

    def _try_system(self) -> bool:
        mark = "PODCASTERSYSTEMTEXT"
        try:
            return mark in self._render(
                [
                    {"role": "system", "content": mark},
                    {"role": "user", "content": "a"},
                    {"role": "assistant", "content": "b"},
                ]
            )
        except Refused:
            return False

    def _render(self, messages: Messages) -> str:
        return self._template.render(
            messages,
            most_characters=10_000 + 4 * sum(len(m["content"]) + 200 for m in messages),
            most_loop_steps=MOST_LOOP_STEPS,
            add_generation_prompt=False,
        )
