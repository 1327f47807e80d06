"""People who never were: endless scenes of posed, dressed and lit bodies, with a truth that is exact.

`SyntheticPeople` is the source: `crop` gives one person as a top-down network sees people, `scene` a photo of up to
30 with their masks, `write_crops` and `write_scenes` files in COCO format. Everything is drawn with numpy and OpenCV,
on one core, and is a function of the seed and the scene's place alone.
"""

from vitruvian.data.synthetic.scenes import Scene, SyntheticPeople
from vitruvian.data.synthetic.writing import write_crops, write_scenes

SYNTHETIC = "synthetic"
"""What stands in the place of an annotation file to train on synthetic people alone."""

__all__ = ["SYNTHETIC", "Scene", "SyntheticPeople", "write_crops", "write_scenes"]
