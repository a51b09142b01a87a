"""Twenty episodes to make: a guest, what they are to talk about, sometimes notes of ours."""

from dataclasses import dataclass

FURNACE = """\
I built the first solar furnace from mirrors that a theatre threw away. It melted copper on the
second afternoon, and it melted my glasses on the third.

The village owns the furnace now. A committee of nine meets on Thursdays, and it mends the mirrors
with its own tools. We wrote no manual, because those who polish the mirrors teach the next ones.

A cistern came later. We dug the cistern under the school yard, and it kept forty families in water
through the drought. Rain is the only customer that always pays.
"""
BAKERY = """\
A sourdough is a colony, and I am its landlady. The starter in my bakery is older than my children,
and it has been to more weddings.

The oven burns beech. Beech gives a steady heat, and a steady heat forgives a sleepy baker. We bake
four hundred loaves a night, and we sell the last of them before nine.

I hire people who were told that they cannot work. An apprentice who counted everything wrong turned
out to hear when a crust is done. Bread taught me that patience is a tool like any other.
"""
WARDS = """\
At Scutari I counted the dead before I counted the blankets. More soldiers died of the drains than
of their wounds, and nobody had written that down.

I drew the deaths as a wheel of twelve months, each wedge as wide as its losses, because a minister
will look at a picture while his eyes slide off a table. The drains were cleaned that spring.

A nurse who opens a window does more than one who prays beside it. I have been called a lady with a
lamp. I would rather have been called a lady with a ledger.
"""


@dataclass(frozen=True)
class Job:
    """An episode to make; its place in the list is its seed."""

    guest: str
    topics: tuple[str, ...]
    notes: str = ""


EPISODES = (
    Job("Barack Obama", ("community organising in Chicago",)),
    Job("Ada Lovelace", ("the analytical engine", "poetry")),
    Job("Marie Curie", ("working with radium",)),
    Job("Charles Darwin", ("earthworms", "the voyage of the Beagle")),
    Job("Frida Kahlo", ("painting from a sickbed",)),
    Job("Wolfgang Amadeus Mozart", ("writing operas", "life in Vienna")),
    Job("Hypatia of Alexandria", ("teaching astronomy",)),
    Job("Leonardo da Vinci", ("flying machines",)),
    Job("Harriet Tubman", ("leading people to freedom at night",)),
    Job("Albert Einstein", ("the nature of time", "playing the violin")),
    Job("Julia Child", ("learning to cook late in life",)),
    Job("Muhammad Ali", ("losing a fight",)),
    Job("Jane Austen", ("marriage and money",)),
    Job("Genghis Khan", ("horses", "ruling a large empire")),
    Job("Linus Torvalds", ("code review",)),
    Job("Florence Nightingale", ("hospitals in a war",), WARDS),
    Job("Tamsin Oduya", ("repairing old tractors",)),
    Job("Wenzel Arkwright", ("life in a lighthouse",)),
    Job("Noor Beaumont", ("solar furnaces",), FURNACE),
    Job("Hilde Brandt", ("bread", "apprentices"), BAKERY),
)
