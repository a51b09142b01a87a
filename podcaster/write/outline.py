"""What the chapters of an episode are about: planned by us, or by an instruct model."""

from collections.abc import Sequence
from dataclasses import dataclass

from podcaster.builtin.keywords import keywords
from podcaster.write.phrases import fill, seeded
from podcaster.write.sentences import capitalise

CHAPTER_S = 105.0
MOST_CHAPTERS = 120
KEYWORDS_PER_CHAPTER = 6


@dataclass(frozen=True)
class ChapterPlan:
    """A chapter before it is written.

    `subject` is how the host names it in a sentence; `question` opens it, empty where there is
    none of ours, and `answer` is how the guest may begin to answer it; `goal` is for a model that
    reads instructions.
    """

    title: str
    subject: str
    keywords: tuple[str, ...]
    question: str = ""
    answer: str = ""
    goal: str = ""


# title, how the host names it, its words, the question that opens it, how an answer may begin
Seed = tuple[str, str, str, str, str]

THEMES: tuple[Seed, ...] = (
    ("The early years", "the early years", "parents school kid curious town childhood",
     "Where did it all start for you?",
     "It all started when"),
    ("A first job", "first jobs", "job boss hired career salary resume",
     "What was your first real job, and what did it teach you?",
     "My first real job was"),
    ("Learning the hard way", "learning the hard way", "mistake lesson failed learn fix wrong",
     "What is a mistake that taught you something?",
     "The biggest mistake I made was"),
    ("An ordinary day", "what an ordinary day looks like", "morning coffee calendar meeting email",
     "What does an ordinary day look like for you?",
     "On an ordinary day, I"),
    ("People who mattered", "the people who mattered", "mentor friend teacher advice trust",
     "Who made the biggest difference to your work?",
     "The people who made the biggest difference were"),
    ("Making decisions", "making decisions", "decision choose risk options trade-off bet",
     "How do you decide when there is no right answer?",
     "When I have to make a decision, I"),
    ("Working with others", "working with other people", "team manager communicate culture remote",
     "What makes a group of people work well together?",
     "A team works well when"),
    ("When things break", "what to do when things go wrong", "crisis broke fail pressure recover",
     "Tell me about a time when everything went wrong at once.",
     "Everything went wrong when"),
    ("Money", "money", "money budget pay price business afford",
     "How do you think about money?",
     "When it comes to money, I"),
    ("What success means", "what success means", "success goal metric impact proud win",
     "How do you know that something was a success?",
     "For me, success is when"),
    ("Saying no", "saying no", "focus priority busy schedule distraction calendar",
     "How do you decide what not to do?",
     "I say no when"),
    ("Technology", "technology", "software computer machine automate tools internet",
     "Which piece of technology changed how you work?",
     "The technology that changed my work was"),
    ("Reading and writing", "reading and writing", "book read write author blog essay",
     "What have you read that changed your mind?",
     "There was a book that"),
    ("Habits", "habits", "habit routine discipline practice sleep exercise",
     "Which habit do you rely on most?",
     "The habit I rely on is that I"),
    ("Taking criticism", "taking criticism", "feedback criticism review honest opinion debate",
     "How do you take criticism?",
     "When somebody gives me criticism, I"),
    ("Teaching others", "teaching", "teach student course explain beginner learn",
     "How do you explain what you do to a beginner?",
     "When I teach a beginner, I"),
    ("Changing one's mind", "changing one's mind", "belief opinion evidence argument wrong",
     "What did you use to believe that you don't believe any more?",
     "I used to believe that"),
    ("Community", "community", "community volunteer local neighbor contribute conference",
     "What does community mean to you?",
     "For me, a community is"),
    ("Leading", "leadership", "leader vision responsibility hire delegate trust",
     "When did you first have to lead, and how did it go?",
     "The first time I had to lead a team,"),
    ("Creativity", "creativity", "creative idea design music art inspiration",
     "Where do your ideas come from?",
     "My best ideas come from"),
    ("Family and home", "family and home", "family kids wife husband home balance",
     "How do work and home fit together for you?",
     "When I come home to my family, I"),
    ("Luck", "luck", "luck opportunity chance timing fortunate privilege",
     "How much of it was luck?",
     "A lot of it was luck, because"),
    ("What comes next", "what comes next", "future plan roadmap predict hope decade",
     "What are you looking forward to?",
     "In the future, I"),
    ("Advice", "advice for those who are just starting out", "advice young graduate beginner start",
     "What would you tell somebody who is just starting out?",
     "My advice would be to"),
)  # fmt: skip

# worded so that a topic may be singular or plural, a thing or a doing
ANGLES: tuple[Seed, ...] = (
    ("Finding the way to {topic}", "the way into {topic}", "start first early beginning",
     "Let's begin at the beginning. What was your first encounter with {topic}?",
     "My first encounter with {topic} was"),
    ("Why {topic}", "why anybody should care about {topic}", "important matter people impact",
     "Why should people care about {topic}?",
     "People should care about {topic} because"),
    ("{topic} in practice", "{topic} in practice", "practice daily example work",
     "What is an ordinary day with {topic} like?",
     "An ordinary day with {topic} is"),
    ("The hard part of {topic}", "the hard part of {topic}", "hard problem challenge difficult",
     "What is the hardest part of {topic}?",
     "The hardest part of {topic} is that"),
    ("What people get wrong about {topic}", "what people get wrong about {topic}",
     "wrong myth misunderstand assume", "What do people get wrong about {topic}?",
     "What people get wrong about {topic} is that"),
    ("{topic} and other people", "{topic} and other people", "people team community friends",
     "Who else is part of {topic} for you?",
     "When I think about {topic}, I think about the people who"),
    ("The price of {topic}", "the price of {topic}", "cost money time price",
     "What is the price of {topic}, in money or in time?",
     "The price of {topic} is"),
    ("Learning about {topic}", "learning about {topic}", "learn teach beginner book",
     "How would you explain {topic} to somebody who knows nothing about it?",
     "The simplest way to explain {topic} is that"),
    ("{topic}, then and now", "{topic}, then and now", "change history years different",
     "What has changed about {topic} over the years?",
     "What has changed about {topic} is that"),
    ("The future of {topic}", "the future of {topic}", "future next decade hope",
     "What is the future of {topic}, ten years from now?",
     "Ten years from now, {topic} will"),
)  # fmt: skip


def count_chapters(target_s: float) -> int:
    """How many chapters an episode of that length has."""
    return max(1, min(MOST_CHAPTERS, round(target_s / CHAPTER_S)))


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
        ChapterPlan(
            title=plan.title,
            subject=plan.subject,
            keywords=tuple(dict.fromkeys((*plan.keywords, *extra))),
            question=plan.question,
            answer=plan.answer,
        )
        for plan in plans
    )


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
    title, subject, words, question, answer = (fill(text, topic=topic) for text in angle)
    found = keywords(topic, 4) or tuple(topic.lower().split()[:3])
    chosen = tuple(dict.fromkeys((*found, *words.split())))[:KEYWORDS_PER_CHAPTER]
    return ChapterPlan(
        title=capitalise(title),
        subject=subject,
        keywords=chosen,
        question=question,
        answer=capitalise(answer),
    )


def _plan_theme(theme: Seed) -> ChapterPlan:
    title, subject, words, question, answer = theme
    chosen = tuple(words.split())[:KEYWORDS_PER_CHAPTER]
    return ChapterPlan(
        title=title, subject=subject, keywords=chosen, question=question, answer=answer
    )
