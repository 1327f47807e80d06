"""How many synthetic people one core draws in a minute, beside the goal of 1,000 images of 256 x 256.

One thread. Crops of one person with the augmentation of training, and whole photos of 512 x 512 of 1 to 30 people, over
drawn backgrounds or over photos of a folder. The time is what this process computes ("cpu", steadier where others
compute, too) or what passes ("wall").
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path

import cv2
from measure import CLOCKS, machine, spread

from vitruvian.augment import Augmentation
from vitruvian.data.synthetic import SyntheticPeople
from vitruvian.geometry import Framing
from vitruvian.images import list_images
from vitruvian.skeletons import COCO, LSP

GOAL = 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=60, help="images in each repeat (default: 60)")
    parser.add_argument("--repeats", type=int, default=5, help="(default: 5)")
    parser.add_argument("--poses", default="", help="a file of motion capture (default: the poses of the package)")
    parser.add_argument("--backgrounds", default="", help="a folder of photos (default: drawn backgrounds)")
    parser.add_argument("--clock", choices=CLOCKS, default="cpu", help="(default: cpu)")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    photos: tuple[Path, ...] = tuple(list_images([options.backgrounds])[0]) if options.backgrounds else ()
    one = SyntheticPeople(LSP, 0, options.poses, photos)
    many = SyntheticPeople(COCO, 0, options.poses, photos)
    framing, augmentation, now = Framing(size=(256, 256)), Augmentation(), CLOCKS[options.clock]
    print(
        f"{machine()}; one thread; images a minute ({options.clock}), min / median / max of {options.repeats} repeats"
    )

    def crop(repeat: int, number: int) -> int:
        return len(one.crop((repeat, number), framing, augmentation).people)

    def crowd(repeat: int, number: int) -> int:
        return len(many.scene((repeat, number)).sample.people)

    for name, way in (("one person, 256 x 256", crop), ("1 to 30 people, 512 x 512", crowd)):
        way(0, 0)  # what is computed once
        rates, shown = [], 0
        for repeat in range(options.repeats):
            start = now()
            shown += sum(way(repeat, number) for number in range(options.count))
            rates.append(60 * options.count / (now() - start))
        met = "" if way is crowd else f"  (goal {GOAL}: {'met' if statistics.median(rates) >= GOAL else 'MISSED'})"
        people = shown / (options.count * options.repeats)
        print(f"  {name.ljust(26)} {spread(rates, 0)}, {people:.1f} people each{met}", flush=True)


if __name__ == "__main__":
    main()
