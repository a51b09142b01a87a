"""What we say ourselves in an English episode: greetings, transitions, questions, farewells.

`{guest}`, `{host}` and `{topic}` are filled in; each kind is used in a seeded order, and nothing
is said twice before everything was said once.
"""

import hashlib
import random

PHRASES: dict[str, tuple[str, ...]] = {
    "hello": (
        "Hello, and welcome.",
        "Hi, and thanks for tuning in.",
        "Good to have you with us.",
        "Hello, everyone.",
        "Welcome, it's good to have you here.",
    ),
    "introduction": (
        "I'm {host}, and with me is {guest}.",
        "My name is {host}, and my guest today is {guest}.",
        "I'm {host}. Sitting across from me is {guest}.",
        "I'm {host}, and today I'm talking to {guest}.",
    ),
    "subject": (
        "Today we talk about {topic}.",
        "We have some time to talk about {topic}.",
        "There's a lot to ask about {topic}.",
        "Our subject today is {topic}.",
    ),
    "opening_reply": (
        "Thank you, {host}. I've been looking forward to this.",
        "Thanks for having me, {host}. It's good to be here.",
        "It's good to be here, {host}. Let's see where this takes us.",
        "Thank you, {host}. Ask me anything you like.",
    ),
    "transition": (
        "Let's move on to {topic}.",
        "I'd like to turn to {topic}.",
        "That brings me to something else: {topic}.",
        "Let's change the subject a little. I want to talk about {topic}.",
        "Which leads me to {topic}.",
        "I've been waiting to get to {topic}.",
        "Let's stay with that thought, and look at {topic}.",
        "There's another side to this, and that is {topic}.",
    ),
    "turn_page": (
        "Let me turn a page.",
        "There's something else that I've been waiting to ask.",
        "I'd like to look at another side of this.",
        "Let's move on a little.",
        "That leads me to my next question.",
        "Here is something that I've long wondered about.",
        "Let's go on from there.",
        "I wrote down another question for you.",
    ),
    "follow_up": (
        "And what did you take away from that?",
        "Can you give me an example?",
        "What surprised you most about it?",
        "How did the people around you see it?",
        "Would you do it the same way again?",
        "What do most people miss about that?",
        "When did you first notice it?",
        "What would you tell your younger self about it?",
        "How do you know when it works?",
        "What made that hard?",
        "Is there a part of it that you still wonder about?",
        "So where does that leave you today?",
        "What changed after that?",
        "Who helped you with it?",
        "What did you try first?",
        "Why does that matter to you?",
    ),
    # what the guest has just named is taken up
    "mention": (
        "You mentioned {topic}. How did that come about?",
        "Let's stay with {topic} for a moment. What was that like?",
        "You said something about {topic}. Why did it matter so much?",
        "Tell me more about {topic}. What should people understand about it?",
        "I'd like to hear more about {topic}. Where did it lead you?",
        "You brought up {topic}. What did you learn from it?",
        "When you say {topic}, what do you have in mind?",
        "How did {topic} change things for you?",
        "What would have happened without {topic}?",
        "And {topic}, what was the hardest part of it?",
    ),
    "other_side": (
        "Let me come at it from another side.",
        "Let me ask you something else.",
        "Let's look at it differently.",
        "I want to take a step back here.",
        "There's something else that I wanted to ask you.",
    ),
    "about": (
        "What comes to your mind first when you hear {topic}?",
        "What should people know about {topic}?",
        "And what about {topic}?",
        "How do you think about {topic}?",
        "What did you learn from {topic}?",
        "And {topic}, how does that fit in?",
    ),
    "quote_about": (
        "What do you have to say about {topic}?",
        "Can you tell us about {topic}?",
        "Where do you stand on {topic}?",
        "What should we understand about {topic}?",
        "How do you see {topic}?",
        "Let me ask you about {topic}. What matters most there?",
        "You've spoken about {topic}. What did you say?",
        "What about {topic}?",
        "Help me with {topic}. How should we think about it?",
        "I've written this down here: {topic}. Why?",
        "And what is your answer when people ask about {topic}?",
        "Could you say more about {topic}?",
    ),
    "quote_open": (
        "Where do you stand on that?",
        "What should we know about it?",
        "How do you see it?",
        "What matters most there?",
        "What have you said about it?",
        "What is your view?",
    ),
    "quote_on": (
        "Please go on.",
        "Go on, finish that thought.",
        "And then?",
        "What follows from that?",
        "How so?",
        "Tell me more about that.",
        "And where does that lead?",
        "Can you spell that out?",
        "Why does that matter?",
        "What else belongs to it?",
    ),
    "reaction": (
        "I see.",
        "That's a strong way to put it.",
        "That stays with me.",
        "All right.",
        "Understood.",
        "That's clear enough.",
        "I hadn't looked at it that way.",
        "That is worth pausing on.",
        "Okay.",
        "I hear you.",
        "Interesting.",
        "That makes sense.",
    ),
    "own_words": (
        "Well, the way I'd put it is this.",
        "Let me put it like this.",
        "Here is how I see it.",
        "I'll say it plainly.",
        "What I have said is this.",
        "I can answer that.",
        "Let me be direct.",
        "Here's what I would say.",
    ),
    "others_words": (
        "Here is how it is told.",
        "The record puts it this way.",
        "Let me go by what is written.",
        "This is what is known about it.",
        "The short version goes like this.",
        "Here is what the notes say.",
    ),
    "guest_stuck": (
        "I'd have to think about that one.",
        "That's a good question, and I don't have a good answer.",
        "It depends on who you ask.",
        "I've changed my mind about that more than once.",
        "Honestly, I'm still finding out.",
        "There isn't one answer to that.",
        "Ask me again in a year.",
        "I go back and forth on that.",
    ),
    "recap": (
        "Let me see whether I got this right. You said: {quote} Is that still how you see it?",
        "One line stays with me: {quote} Would you say it the same way today?",
        "If listeners remember one thing, should it be this? {quote}",
        "I want to come back to something you said. {quote} Does that sum it up?",
    ),
    "recap_reply": (
        "Yes, that's the heart of it.",
        "I would say it just like that again.",
        "That's it. If people take one thing from this, let it be that.",
        "Yes. Everything else follows from there.",
        "I stand by it.",
    ),
    "farewell_turn": (
        "We're coming to the end of our time.",
        "I'm afraid our time is almost up.",
        "And with that, we're nearly done.",
    ),
    "thanks": (
        "Thank you, {guest}.",
        "{guest}, thank you very much for this conversation.",
        "Thank you for talking with me, {guest}.",
    ),
    "farewell_reply": (
        "Thank you, {host}. It was a pleasure.",
        "Thank you, {host}. I enjoyed this.",
        "Thanks, {host}. These were good questions.",
    ),
    "goodbye": (
        "And thank you for listening. Goodbye.",
        "Thanks to everyone who listened. Take care, and goodbye.",
        "That's it for today. Goodbye, and take care.",
    ),
    # any of these may be said before the goodbye, so that the episode ends on time; they differ in
    # length on purpose
    "filler_host": (
        "There would be more to ask.",
        "I'll be thinking about this for a while, and I hope you will, too.",
        "If something in here made you curious, go and read further: that is what it was for.",
        "We went from {first} to {last}, and every part of it could have filled an hour.",
        "I came with a page of questions, and I leave with a new one.",
        "So much for today.",
        "And if you disagree with something that you heard, all the better: talk about it with "
        "somebody over dinner, because that is how a conversation goes on.",
        "It went by quickly.",
    ),
    "filler_guest": (
        "I could have gone on.",
        "You gave me a few things to think about on the way home.",
        "It's rare that somebody lets me finish a thought, so I'm grateful for that.",
        "Let's do it again.",
    ),
}


class Phrasebook:
    """Gives phrases of a kind in a seeded order."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._left: dict[str, list[str]] = {}
        self._rounds: dict[str, int] = {}

    def pick(self, kind: str, **slots: str) -> str:
        """The next phrase of `kind`, filled in."""
        left = self._left.get(kind)
        if not left:
            round_number = self._rounds[kind] = self._rounds.get(kind, 0) + 1
            left = list(PHRASES[kind])
            seeded(self._seed, "phrases", kind, round_number).shuffle(left)
            self._left[kind] = left
        return fill(left.pop(), **slots)


def fill(phrase: str, **slots: str) -> str:
    """Put values into a phrase's slots; a value is never read as a slot itself."""
    parts = []
    for piece in phrase.split("{"):
        name, found, rest = piece.partition("}")
        parts.append(slots[name] + rest if found else piece)
    return "".join(parts)


def seeded(seed: int, *what: object) -> random.Random:
    """A random generator for one purpose, derived from the episode's seed."""
    return random.Random(derive_seed(seed, *what))


def derive_seed(seed: int, *what: object) -> int:
    """A seed for one purpose: 48 bits of a hash, the same on every machine."""
    text = "/".join([str(seed), *(str(part) for part in what)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big")
