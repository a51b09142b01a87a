"""How the learning rate rises and falls over the steps of a training."""

import math

from podcaster.train.options import TrainOptions

FEWEST_WARM = 10  # steps in which the learning rate rises, if there are twice as many
DECAY_SHARE = 0.2  # of the steps, in which a trapezoidal schedule falls
FLOOR = 0.02  # of the highest learning rate, at the end


def schedule(options: TrainOptions, step: int, steps: int) -> float:
    """The learning rate of a step (from 0) as a share of the highest."""
    # AdamW's first steps are as large as its rate: even a short training begins slowly
    warm = max(round(options.warmup * steps), min(FEWEST_WARM, steps // 2), 1)
    if step < warm:
        return (step + 1) / warm
    left = (steps - step) / max(1, steps - warm)  # from 1 down to nearly 0
    if options.schedule == "trapezoidal":
        return max(FLOOR, min(1.0, left / DECAY_SHARE))
    return FLOOR + (1 - FLOOR) * (1 - math.cos(math.pi * left)) / 2
