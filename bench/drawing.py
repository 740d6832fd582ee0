"""What drawing an overlay costs: one painted picture of 768 x 574, one thread, CPU time, the least of many.

The goal is the first line: overlay and JPEG in under 4 ms on one core, whatever the map; below it what it is
made of, and what may be asked for on top.

    make bench-drawing
"""

import os
import platform
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import PIL
from PIL import Image

from app.demo.painter import HEIGHT, WIDTH, paint
from app.domain import Affine
from app.images.decode import Picture
from app.images.encode import MediaType, encoded
from app.images.heat import scale_of
from app.images.overlay import Legend, Region, render_overlay
from app.images.paint import canvas_of, extent_of, outline, shading_of
from app.images.paint import paint as paint_map

REPEATS = 200
SEEN = (0.0, 0.0, float(WIDTH), float(HEIGHT))


def least_ms(work: Callable[[], object]) -> float:
    """Of many runs: a neighbour on the core makes a run slower, never faster."""
    times = []
    for _ in range(REPEATS):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times) * 1000


def main() -> None:
    """Measure and print."""
    picture = Picture(Image.fromarray(paint("boar", 1).image), "PNG")
    generator = np.random.default_rng(0)
    everywhere = generator.uniform(0.5, 6.0, (7, 7)).astype(np.float32)
    spot = np.zeros((7, 7), np.float32)
    spot[4:6, 3:5] = everywhere[4:6, 3:5]
    fine = generator.uniform(0.5, 6.0, (56, 56)).astype(np.float32)
    region = Region((400, 380, 520, 500), "61 %")

    def overlay(heat: np.ndarray, media_type: MediaType = "image/jpeg", **options: Any) -> float:
        rows, cols = heat.shape
        cells = Affine(WIDTH / cols, 0.0, HEIGHT / rows, 0.0)
        return least_ms(
            lambda: render_overlay(
                picture, heat, cells, SEEN, media_type=media_type, max_side=1600, **options
            )
        )

    cells = Affine(WIDTH / 7, 0.0, HEIGHT / 7, 0.0)
    scale = scale_of([everywhere], "max")
    canvas, _ = canvas_of(picture.image, 1600)
    extent = extent_of((7, 7), cells, SEEN, canvas)
    levels, shading = scale.levels(everywhere), shading_of(scale, "inferno", opacity=0.6)
    print(
        f"{platform.machine()}, Pillow {PIL.__version__}, load {os.getloadavg()[0]:.1f}, {time.strftime('%Y-%m-%d')}"
    )
    lines = {
        "overlay and JPEG, evidence in every cell of 7 x 7": overlay(everywhere),
        "  copy of the picture": least_ms(lambda: canvas_of(picture.image, 1600)),
        "  scale, levels, colours": least_ms(
            lambda: (
                scale_of([everywhere], "max").levels(everywhere),
                shading_of(scale, "inferno", opacity=0.6),
            )
        ),
        "  map to pixels, blend": least_ms(lambda: paint_map(canvas, levels, cells, extent, shading)),
        "  outline": least_ms(lambda: outline(canvas, SEEN)),
        "  JPEG": least_ms(lambda: encoded(canvas, "image/jpeg")),
        "evidence in 2 x 2 of the cells": overlay(spot),
        "56 x 56 cells": overlay(fine),
        "PNG": overlay(everywhere, "image/png"),
        "WebP": overlay(everywhere, "image/webp"),
        "with a legend": overlay(everywhere, legend=Legend("boar 0.998")),
        "with a box and its label": overlay(everywhere, regions=[region]),
        "with one contour": overlay(everywhere, contours=(0.5,)),
    }
    for name, milliseconds in lines.items():
        print(f"{name:52s} {milliseconds:7.2f} ms")


if __name__ == "__main__":
    main()
