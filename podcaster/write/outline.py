"""What the chapters of an episode are about: planned by us, or by an instruct model."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from podcaster.builtin.keywords import keywords
from podcaster.write.phrases import fill, seeded
from podcaster.write.sentences import capitalise

CHAPTER_S = 105.0
SHORTEST_CHAPTER_S = 38.0
MOST_CHAPTERS = 120
KEYWORDS_PER_CHAPTER = 6


@dataclass(frozen=True)
class ChapterPlan:
    """A chapter before it is written.

    `subject` is how the host names it in a sentence; `question` opens it, empty where there is
    none of ours; `goal` is for a model that writes a script, `topics` and `facts` are what a small
    one is told that it talks about.
    """

    title: str
    subject: str
    keywords: tuple[str, ...]
    question: str = ""
    goal: str = ""
    topics: tuple[str, ...] = ()
    facts: tuple[str, ...] = ()


# title, how the host names it, its words, the question that opens it
Seed = tuple[str, str, str, str]

THEMES: tuple[Seed, ...] = (
    ("The early years", "the early years", "parents school kid curious town childhood",
     "Where did it all start for you?"),
    ("A first job", "first jobs", "job boss hired career salary resume",
     "What was your first real job, and what did it teach you?"),
    ("Learning the hard way", "learning the hard way", "mistake lesson failed learn fix wrong",
     "What is a mistake that taught you something?"),
    ("An ordinary day", "what an ordinary day looks like", "morning coffee calendar meeting email",
     "What does an ordinary day look like for you?"),
    ("People who mattered", "the people who mattered", "mentor friend teacher advice trust",
     "Who made the biggest difference to your work?"),
    ("Making decisions", "making decisions", "decision choose risk options trade-off bet",
     "How do you decide when there is no right answer?"),
    ("Working with others", "working with other people", "team manager communicate culture remote",
     "What makes a group of people work well together?"),
    ("When things break", "what to do when things go wrong", "crisis broke fail pressure recover",
     "Tell me about a time when everything went wrong at once."),
    ("Money", "money", "money budget pay price business afford",
     "How do you think about money?"),
    ("What success means", "what success means", "success goal metric impact proud win",
     "How do you know that something was a success?"),
    ("Saying no", "saying no", "focus priority busy schedule distraction calendar",
     "How do you decide what not to do?"),
    ("Technology", "technology", "software computer machine automate tools internet",
     "Which piece of technology changed how you work?"),
    ("Reading and writing", "reading and writing", "book read write author blog essay",
     "What have you read that changed your mind?"),
    ("Habits", "habits", "habit routine discipline practice sleep exercise",
     "Which habit do you rely on most?"),
    ("Taking criticism", "taking criticism", "feedback criticism review honest opinion debate",
     "How do you take criticism?"),
    ("Teaching others", "teaching", "teach student course explain beginner learn",
     "How do you explain what you do to a beginner?"),
    ("Changing one's mind", "changing one's mind", "belief opinion evidence argument wrong",
     "What did you use to believe that you don't believe any more?"),
    ("Community", "community", "community volunteer local neighbor contribute conference",
     "What does community mean to you?"),
    ("Leading", "leadership", "leader vision responsibility hire delegate trust",
     "When did you first have to lead, and how did it go?"),
    ("Creativity", "creativity", "creative idea design music art inspiration",
     "Where do your ideas come from?"),
    ("Family and home", "family and home", "family kids wife husband home balance",
     "How do work and home fit together for you?"),
    ("Luck", "luck", "luck opportunity chance timing fortunate privilege",
     "How much of it was luck?"),
    ("What comes next", "what comes next", "future plan roadmap predict hope decade",
     "What are you looking forward to?"),
    ("Advice", "advice for those who are just starting out", "advice young graduate beginner start",
     "What would you tell somebody who is just starting out?"),
)  # fmt: skip

# worded so that a topic may be singular or plural, a thing or a doing; and so that a story answers
ANGLES: tuple[Seed, ...] = (
    ("The way to {topic}", "how it all began with {topic}", "start first young beginning",
     "Let's begin at the beginning. How did you first come to {topic}?"),
    ("Why {topic}", "why {topic} mattered", "important matter reason believe",
     "What drew you to {topic}, of all things?"),
    ("{topic}, day by day", "what {topic} looked like from day to day", "morning daily work day",
     "Take us into one day with {topic}. What did you see, and who was there?"),
    ("The hard part of {topic}", "the hard part of {topic}", "hard problem challenge difficult",
     "Tell me about the hardest moment with {topic}."),
    ("The people behind {topic}", "the people behind {topic}", "people friend family team",
     "Who stood beside you in {topic}, and what did they teach you?"),
    ("What {topic} taught", "what {topic} taught you", "learn teach lesson mistake",
     "What did {topic} teach you that you didn't expect?"),
    ("What people get wrong about {topic}", "what people get wrong about {topic}",
     "wrong myth believe truth", "What do people get wrong about {topic}?"),
    ("What {topic} cost", "what {topic} cost you", "cost give time price",
     "What did you have to give up for {topic}?"),
    ("How {topic} changed the world", "what {topic} changed", "change world history different",
     "How has {topic} changed the lives of other people?"),
    ("The future of {topic}", "the future of {topic}", "future next hope dream",
     "When you think of {topic} years from now, what do you hope for?"),
)  # fmt: skip


def count_chapters(target_s: float, topics: int = 0) -> int:
    """How many chapters an episode of that length has: one for each topic, if there is time."""
    for_topics = min(topics, int(target_s / SHORTEST_CHAPTER_S))
    return max(1, for_topics, min(MOST_CHAPTERS, round(target_s / CHAPTER_S)))


def plan_chapters(
    topics: Sequence[str], steer: str, count: int, seed: int
) -> tuple[ChapterPlan, ...]:
    """Plan `count` chapters: each topic from several angles; without topics, life and work.

    A long episode goes round again with themes from other angles, so titles stay different.
    """
    extra = keywords(steer, 3)
    plans = [_plan_angle(topic, angle) for topic, angle in _spread(topics, count, seed)]
    rest = count - len(plans)
    if rest:
        themes = seeded(seed, "themes").sample(THEMES, len(THEMES))
        first = [theme for theme in themes if theme[0] not in ("What comes next", "Advice")]
        last = [theme for theme in themes if theme[0] in ("What comes next", "Advice")]
        if rest < len(THEMES):
            chosen = (first[: rest - 1] + last[:1]) if rest > 1 else first[:1]
            plans += [_plan_theme(theme) for theme in chosen]
        else:
            plans += [_plan_theme(theme) for theme in [*first, *last]]
            subjects = [theme[1] for theme in themes]
            turned = _spread(subjects, rest - len(THEMES), seed)
            plans += [_plan_angle(subject, angle) for subject, angle in turned]
    return tuple(
        replace(plan, keywords=tuple(dict.fromkeys((*plan.keywords, *extra)))) for plan in plans
    )


def list_questions(topics: Sequence[str], seed: int) -> tuple[str, ...]:
    """Questions of ours from other sides, for a talk that stands still: all angles, then themes."""
    asked = [fill(angle[3], topic=topic) for topic in topics for angle in ANGLES]
    seeded(seed, "questions").shuffle(asked)
    themes = [theme[3] for theme in seeded(seed, "themes").sample(THEMES, len(THEMES))]
    return (*asked, *themes[::-1])


def _spread(topics: Sequence[str], count: int, seed: int) -> list[tuple[str, Seed]]:
    """Give every topic its share of the chapters, each from another angle, topic after topic."""
    if not topics:
        return []
    chosen = []
    total = min(count, len(topics) * len(ANGLES))
    for number, topic in enumerate(topics):
        share = total // len(topics) + (number < total % len(topics))
        order = seeded(seed, "angles", topic).sample(range(len(ANGLES)), len(ANGLES))
        # the angles stand in the order in which a conversation takes them
        chosen += [(topic, ANGLES[i]) for i in sorted(order[:share])]
    return chosen


def _plan_angle(topic: str, angle: Seed) -> ChapterPlan:
    title, subject, words, question = (fill(text, topic=topic) for text in angle)
    found = keywords(topic, 4) or tuple(topic.lower().split()[:3])
    chosen = tuple(dict.fromkeys((*found, *words.split())))[:KEYWORDS_PER_CHAPTER]
    return ChapterPlan(
        title=capitalise(title),
        subject=subject,
        keywords=chosen,
        question=question,
        topics=(topic,),
    )


def _plan_theme(theme: Seed) -> ChapterPlan:
    title, subject, words, question = theme
    chosen = tuple(words.split())[:KEYWORDS_PER_CHAPTER]
    return ChapterPlan(
        title=title, subject=subject, keywords=chosen, question=question, topics=(subject,)
    )
