"""Apple's podcast categories, the exact text that `itunes:category` must have."""

import difflib

from podcaster.errors import InputError

CATEGORIES: dict[str, tuple[str, ...]] = {
    "Arts": ("Books", "Design", "Fashion & Beauty", "Food", "Performing Arts", "Visual Arts"),
    "Business": (
        "Careers", "Entrepreneurship", "Investing", "Management", "Marketing", "Non-Profit",
    ),
    "Comedy": ("Comedy Interviews", "Improv", "Stand-Up"),
    "Education": ("Courses", "How To", "Language Learning", "Self-Improvement"),
    "Fiction": ("Comedy Fiction", "Drama", "Science Fiction"),
    "Government": (),
    "Health & Fitness": (
        "Alternative Health", "Fitness", "Medicine", "Mental Health", "Nutrition", "Sexuality",
    ),
    "History": (),
    "Kids & Family": ("Education for Kids", "Parenting", "Pets & Animals", "Stories for Kids"),
    "Leisure": (
        "Animation & Manga", "Automotive", "Aviation", "Crafts", "Games", "Hobbies",
        "Home & Garden", "Video Games",
    ),
    "Music": ("Music Commentary", "Music History", "Music Interviews"),
    "News": (
        "Business News", "Daily News", "Entertainment News", "News Commentary", "Politics",
        "Sports News", "Tech News",
    ),
    "Religion & Spirituality": (
        "Buddhism", "Christianity", "Hinduism", "Islam", "Judaism", "Religion", "Spirituality",
    ),
    "Science": (
        "Astronomy", "Chemistry", "Earth Sciences", "Life Sciences", "Mathematics",
        "Natural Sciences", "Nature", "Physics", "Social Sciences",
    ),
    "Society & Culture": (
        "Documentary", "Personal Journals", "Philosophy", "Places & Travel", "Relationships",
    ),
    "Sports": (
        "Baseball", "Basketball", "Cricket", "Fantasy Sports", "Football", "Golf", "Hockey",
        "Rugby", "Running", "Soccer", "Swimming", "Tennis", "Volleyball", "Wilderness",
        "Wrestling",
    ),
    "Technology": (),
    "True Crime": (),
    "TV & Film": ("After Shows", "Film History", "Film Interviews", "Film Reviews", "TV Reviews"),
}  # fmt: skip


def parse_category(text: str) -> tuple[str, str | None]:
    """Read `Category` or `Category > Subcategory`, in any case, into Apple's exact spelling.

    Raises InputError, naming the nearest category, for one that Apple does not have.
    """
    main_text, _, sub_text = (part.strip() for part in text.partition(">"))
    main = _match(main_text, tuple(CATEGORIES), text)
    return main, _match(sub_text, CATEGORIES[main], text) if sub_text else None


def _match(wanted: str, known: tuple[str, ...], whole: str) -> str:
    for name in known:
        if name.casefold() == wanted.casefold():
            return name
    every = [
        *CATEGORIES,
        *(f"{main} > {sub}" for main, subs in CATEGORIES.items() for sub in subs),
    ]
    by_fold = {name.casefold(): name for name in every}
    close = difflib.get_close_matches(whole.casefold(), by_fold, n=1, cutoff=0.5)
    raise InputError(
        f"{whole[:80]!r} is not one of Apple's podcast categories.",
        next_step=f"Did you mean {by_fold[close[0]]!r}?"
        if close
        else f"Choose one of {', '.join(CATEGORIES)}.",
    )
