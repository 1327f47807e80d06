"""People who never were: endless scenes of posed, dressed and lit bodies, with a truth that is exact.

`SyntheticPeople` is the source: `crop` gives one person as a top-down network sees people. Everything is drawn with
numpy and OpenCV, on one core, and is a function of the seed and the scene's place alone.
"""

from vitruvian.data.synthetic.scenes import SyntheticPeople

SYNTHETIC = "synthetic"
"""What stands in the place of an annotation file to train on synthetic people alone."""

__all__ = ["SYNTHETIC", "SyntheticPeople"]
