"""Synthetic people as training samples, alone or among the people of a data set."""

from __future__ import annotations

from vitruvian.augment import Augmentation
from vitruvian.data.loading import DrawnCrops, Key, PersonCrops
from vitruvian.data.synthetic.cutouts import CutoutCrops
from vitruvian.data.synthetic.scenes import SyntheticPeople
from vitruvian.geometry import Framing
from vitruvian.sample import Sample
from vitruvian.skeletons import Skeleton


class SyntheticCrops:
    """Crops of synthetic people, so many an epoch and never the same again.

    Sample (epoch, index) depends on (seed, epoch, index) alone, whichever process makes it.
    """

    def __init__(
        self, people: SyntheticPeople, framing: Framing, augmentation: Augmentation | None, per_epoch: int
    ) -> None:
        self.people, self.framing, self.augmentation, self.per_epoch = people, framing, augmentation, per_epoch

    @property
    def skeleton(self) -> Skeleton:
        """The joints of the truth."""
        return self.people.skeleton

    def __len__(self) -> int:
        return self.per_epoch

    def __getitem__(self, key: Key) -> Sample:
        return self.people.crop(key, self.framing, self.augmentation)

    def plain(self) -> SyntheticCrops:
        """The source without augmentation."""
        return SyntheticCrops(self.people, self.framing, None, self.per_epoch)


class MixedCrops:
    """The people of a data set and, after them, others: synthetic ones, or those of a second data set."""

    def __init__(self, real: PersonCrops | CutoutCrops, others: SyntheticCrops | DrawnCrops) -> None:
        self.real, self.others = real, others

    @property
    def skeleton(self) -> Skeleton:
        """The joints of the truth."""
        return self.real.skeleton

    def __len__(self) -> int:
        return len(self.real) + len(self.others)

    def __getitem__(self, key: Key) -> Sample:
        epoch, index = key
        real = len(self.real)
        return self.real[key] if index < real else self.others[epoch, index - real]

    def plain(self) -> PersonCrops:
        """The people of the data set, without augmentation."""
        return self.real.plain()


Crops = PersonCrops | CutoutCrops | SyntheticCrops | MixedCrops
"""What top-down training takes its samples from."""
