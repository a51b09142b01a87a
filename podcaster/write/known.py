"""What a model knows of a guest: the field in which somebody is known, if its answers agree.

A small model knows what a famous person is famous for, and little more; of people it does not know
it makes something up, another thing each time. So it is asked several times who that is, and of
what it says only a field counts, and only where its answers agree.
"""

from collections import Counter
from collections.abc import Sequence

from podcaster.units import split_words
from podcaster.write.engine import Piece, Sampling, Writer
from podcaster.write.phrases import derive_seed

SYSTEM = "You answer briefly and truthfully."
ANSWERS = 4
AGREEING = 3  # answers that must name a field
ANSWER_TOKENS = 48
_UNKNOWN = frozenset("fictional fictitious imaginary character video unknown".split())  # noqa: SIM905

# what people are called, and how one speaks of what they do
FIELDS: dict[str, str] = {
    "politics": "president politician senator minister chancellor statesman stateswoman "
    "congressman governor mayor diplomat democratic republican parliament policy politics",
    "science": "scientist physicist chemist biologist astronomer naturalist geologist science "
    "physics chemistry biology astronomy scientific radioactivity",
    "mathematics": "mathematician mathematics logician algebra geometry mathematical",
    "computers": "programmer computing computer software algorithm hacker",
    "medicine": "physician doctor nurse surgeon medicine psychiatrist psychologist nursing",
    "music": "musician composer singer songwriter rapper pianist violinist conductor band music "
    "musical guitarist drummer",
    "writing": "writer novelist poet author playwright essayist journalist literature poetry novel",
    "art": "painter artist sculptor photographer painting sculpture art designer",
    "acting": "actor actress film director comedian cinema theatre theater movie",
    "sport": "athlete boxer footballer player runner swimmer coach sports football basketball "
    "tennis boxing cricketer champion",
    "business": "entrepreneur businessman businesswoman founder investor billionaire company "
    "industrialist business ceo",
    "philosophy": "philosopher philosophy thinker stoic theologian",
    "inventing things": "inventor engineer inventions invention engineering",
    "exploring": "explorer navigator aviator astronaut pilot mountaineer expedition",
    "justice": "activist apartheid abolitionist suffragist humanitarian civil rights justice "
    "equality",
    "ruling a country": "king queen emperor empress pharaoh monarch reign throne ruler",
    "cooking": "chef cook cuisine restaurant cooking",
    "teaching": "teacher educator professor pedagogue",
}
_FIELD_OF = {word: field for field, words in FIELDS.items() for word in words.split()}


def find_fields(answers: Sequence[str], most: int = 2) -> tuple[str, ...]:
    """The fields that at least `AGREEING` of the answers name, the most often named first."""
    counts: Counter[str] = Counter()
    for answer in answers:
        words = split_words(answer)
        if _UNKNOWN.isdisjoint(words):
            counts.update({_FIELD_OF[word] for word in words if word in _FIELD_OF})
    agreed = [field for field, times in counts.items() if times >= AGREEING]
    return tuple(sorted(agreed, key=lambda field: (-counts[field], field))[:most])


def ask_fields(writer: Writer, guest: str, seed: int) -> tuple[str, ...]:
    """In which fields a guest is known, as far as the model knows; it forgets its prompt."""
    writer.start_chat(SYSTEM, f"In one sentence, who is {guest}, and what are they known for?")
    sampling = Sampling(
        temperature=0.6,
        min_p=0.1,
        max_tokens=ANSWER_TOKENS,
        seed=derive_seed(seed, "known", guest),
    )
    candidates = writer.sample([Piece(guest)], ANSWERS, sampling)
    return find_fields([candidate.text for candidate in candidates])
