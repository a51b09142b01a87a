"""What the voices say while they are measured, by language: sentences of ours."""

from pathlib import Path

from recipes.voices.speaking import SENTENCES

# turns of a conversation, by which a pace is told
TALK = tuple(
    line.partition(": ")[2]
    for line in (Path(__file__).parents[2] / "bench" / "conversation.txt")
    .read_text(encoding="utf-8")
    .splitlines()[:6]
)

TEXTS: dict[str, tuple[str, ...]] = {
    "en": SENTENCES,
    "es": (
        "El puerto estaba tranquilo cuando llegaron los primeros barcos.",
        "¿Podría repetirlo un poco más despacio, por favor?",
        "Mi abuelo cuidaba abejas detrás de la vieja estación.",
        "Nunca lo pensé como un trabajo, sino como un juego.",
    ),
    "fr": (
        "Le port était calme quand les premiers bateaux sont arrivés.",
        "Pourriez-vous le répéter un peu plus lentement ?",
        "Mon grand-père élevait des abeilles derrière la vieille gare.",
        "Je n'y ai jamais pensé comme à un travail, mais comme à un jeu.",
    ),
    "hi": (
        "जब पहली नावें आईं तब बंदरगाह शांत था।",
        "क्या आप इसे थोड़ा धीरे से दोहरा सकते हैं?",
        "मेरे दादा पुराने स्टेशन के पीछे मधुमक्खियाँ पालते थे।",
        "मैंने इसे कभी काम नहीं समझा।",
    ),
    "it": (
        "Il porto era tranquillo quando arrivarono le prime barche.",
        "Potrebbe ripeterlo un po' più lentamente, per favore?",
        "Mio nonno teneva le api dietro la vecchia stazione.",
        "Non l'ho mai considerato un lavoro, ma un gioco.",
    ),
    "pt-br": (
        "O porto estava calmo quando os primeiros barcos chegaram.",
        "Você poderia repetir um pouco mais devagar, por favor?",
        "Meu avô criava abelhas atrás da velha estação.",
        "Nunca pensei nisso como um trabalho, mas como um jogo.",
    ),
}
