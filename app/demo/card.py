"""The demo model's card: README.md in its bundle, for people."""

from app.bundles.repository import Bundle
from app.demo.evaluation import Score
from app.demo.painted_folder import GOLDEN_SEEDS, TRAINING_SEEDS
from app.demo.painted_set import TEST_SEEDS


def card(score: Score, bundle: Bundle) -> str:
    """Markdown."""
    size = bundle.network_spec.input_size
    seeds = "\n".join(
        f"| `{name}-{number:04}.jpg` | {seed} |"
        for name, row in GOLDEN_SEEDS.items()
        for number, seed in enumerate(row, start=1)
    )
    scenes = len(TRAINING_SEEDS)
    return f"""\
# carcass-demo

**Synthetic. Not for use on meat.** This network has never seen a photograph of a carcass. It was trained on
paintings, and the cue by which it tells the classes apart was invented by the painter. On real carcasses its
answers mean nothing.

It is here so that a fresh clone has something to serve, whose evidence can be checked: the painter knows
where the cue is, so one can measure whether the map shows it.

## What it is

| | |
| --- | --- |
| network | ResNet-14 of the CIFAR kind (`cifar_resnet14`), 0.17 million weights, float32 |
| input | the whole picture, resized to {size.height} x {size.width} (bilinear) |
| classes | castrate (거세), boar (수), female (암) |
| evidence | 27 x 36 cells; bias + mean of a class's map is its logit, exactly |

## How it was made

`make demo-model`: paints {scenes} scenes (seeds 0 to {scenes - 1}), each three times, once with each class's cue, and
runs `lineside finetune` with [examples/painted.toml](../../../examples/painted.toml); then this card is measured and written.
`training/config.toml` has every setting, `training/history.csv` every epoch, [training/evaluation.html](training/evaluation.html)
the report.

A scene's pose, light, colours, ink, bar and backdrop come from the seed and never hear of the class; within one
scene the classes differ in no pixel outside the cue. The cue lies on the inside of the far ham and fills about
2 % of the picture: a castrate has a sewn scar between lobes of fat, a boar a tract that ends in a bulb, a female
a smooth oval of muscle.

## How good it is

On {score.count} paintings of seeds that it was never trained on ({TEST_SEEDS.start} to {TEST_SEEDS.stop - 1}), one class each:

| | measured | required |
| --- | --- | --- |
| accuracy | {score.accuracy:.1%} | 98 % |
| pointing game: the largest cell of the predicted class's map lies on the cue | {score.pointing:.1%} | 90 % |

`pytest -m slow tests/demo` measures it again on all of them; the default tests do on the first 60.

## Golden images

`golden/` holds nine paintings of yet other seeds, as JPEG, and the logits that the network gave them when the
bundle was made. The server predicts them before it says that it is ready.

| picture | seed |
| --- | --- |
{seeds}

## Limits

- The three cues are invented; no grader should learn anything from them.
- The painter varies less than a slaughter line does: one camera, one side, one direction, no empty hooks, no
  water on the lens. Anything else (a cat, a black picture, a real carcass) gets a class too, often with
  a high probability.
- The probabilities are not calibrated.
- The map's cells are 21 pixels apart, but each has looked at a neighbourhood of some 280 pixels: a warm spot says
  "around here".
"""
