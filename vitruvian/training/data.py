"""What a run learns from and what it is scored on: reading, holding photos back, and what is checked before a step."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from vitruvian.data.labels import Labels, left_out, require_joints, split_by_photo, why_nobody
from vitruvian.data.loading import DrawnCrops, PersonCrops
from vitruvian.data.reading import read_labels
from vitruvian.data.space import can_convert, with_skeleton
from vitruvian.data.synthetic import SYNTHETIC, SyntheticPeople
from vitruvian.data.synthetic.crops import Crops, MixedCrops, SyntheticCrops
from vitruvian.data.synthetic.cutouts import CutoutCrops
from vitruvian.errors import InputError
from vitruvian.evaluation import annotated_people, check_photos
from vitruvian.experiment import Dataset, Experiment
from vitruvian.files import write_atomically
from vitruvian.images import list_images

HELD_BACK = "val.json"
"""In the folder of a run: the annotations of the photos that were held back from training."""


def read_training(dataset: Dataset) -> Labels | None:
    """The labels of the file to train on, None for synthetic people; raises InputError where it cannot be read."""
    if dataset.path == SYNTHETIC:
        return None
    if not dataset.path:
        raise InputError("which data? give the annotation file to train on: --data FILE")
    keep = dataset.val_share > 0
    return read_labels(dataset.path, dataset.images, keep, category=dataset.category, split=dataset.split)


def read_data(experiment: Experiment, labels: Labels | None = None) -> tuple[Crops, Labels | None, list[str]]:
    """The training samples, the labels to score on where there are any, and what there is to say about them.

    Args:
        experiment: whose `dataset` it is.
        labels: of `dataset.path`, where they are read already.

    Raises:
        InputError: nobody can be learnt from, photos are missing, or the joints are not those of the experiment.
    """
    dataset = experiment.dataset
    labels = labels or read_training(dataset)
    val, said = None, []
    if dataset.val_path:
        category, split = dataset.category, dataset.val_split
        val = read_labels(dataset.val_path, dataset.val_images, keep_content=True, category=category, split=split)
    for one in (labels, val):
        if one:
            remedy = "choose data with the same joints in the same order"
            if not can_convert(one.skeleton, experiment.skeleton):
                require_joints(one, experiment.skeleton, "the experiment learns", remedy)
            said += [line for line in (*one.notes, left_out(one)) if line]
    if labels and dataset.val_share and not val:
        everybody = labels
        labels, val = split_by_photo(labels, dataset.val_share)
        said.append(
            f"held back from training, to be scored: {len(val.photos)} of {len(everybody.photos)} photos with "
            f"{val.num_people} of {everybody.num_people} people, the same ones each time (--dataset.val-share); other "
            "data: --dataset.val-path FILE"
        )
    held = [people.photo for people in annotated_people(val)] if val else []
    if val and dataset.val_path:
        check_photos(val, held)
    if labels is None:
        return synthetic_crops(experiment, dataset.limit or 10_000), val, said
    labels = with_skeleton(labels, experiment.skeleton)
    crops = PersonCrops(labels, experiment.method.framing, experiment.augmentation, experiment.seed, dataset.limit)
    if not len(crops):
        raise InputError(
            f"{labels.path}: nobody in it has a labelled joint and a box, there is nothing to learn from: "
            + why_nobody(labels)
        )
    learnt = [labels.photos[index] for index in dict.fromkeys(photo for photo, _ in crops.places)]
    check_photos(labels, learnt if dataset.val_path else learnt + held)
    if dataset.cutouts:
        crops = CutoutCrops(crops, dataset.cutouts, photos_behind(dataset))
    if dataset.extra:
        return MixedCrops(crops, extra_crops(experiment, round(len(crops) * dataset.extra_share))), val, said
    if not dataset.synthetic:
        return crops, val, said
    beside = round(len(crops) * dataset.synthetic / (1 - dataset.synthetic))
    return MixedCrops(crops, synthetic_crops(experiment, beside)), val, said


def extra_crops(experiment: Experiment, per_epoch: int) -> DrawnCrops:
    """People of `dataset.extra` with the joints and the augmentation of an experiment, drawn anew in each epoch."""
    dataset, framing = experiment.dataset, experiment.method.framing
    labels = with_skeleton(read_labels(dataset.extra, dataset.extra_images), experiment.skeleton)
    if dataset.extra_padding:
        framing = replace(framing, padding=dataset.extra_padding)
    people = PersonCrops(labels, framing, experiment.augmentation, experiment.seed)
    if not len(people):
        raise InputError(f"{labels.path}: nobody in it can be learnt from: {why_nobody(labels)}")
    check_photos(labels, [labels.photos[index] for index in dict.fromkeys(photo for photo, _ in people.places)])
    return DrawnCrops(people, per_epoch, experiment.seed)


def synthetic_crops(experiment: Experiment, per_epoch: int) -> SyntheticCrops:
    """Synthetic people with the joints and the augmentation of an experiment."""
    photos = photos_behind(experiment.dataset)
    people = SyntheticPeople(experiment.skeleton, experiment.seed, experiment.dataset.poses, photos)
    return SyntheticCrops(people, experiment.method.framing, experiment.augmentation, per_epoch)


def photos_behind(dataset: Dataset) -> tuple[Path, ...]:
    """The photos that stand behind synthetic people; raises InputError where there are none in the folder."""
    return tuple(list_images([dataset.backgrounds])[0]) if dataset.backgrounds else ()


def write_held_back(val: Labels, path: Path) -> None:
    """Writes annotations in COCO format of photos that were held back, for `vitruvian evaluate`, with their paths."""
    if not isinstance(val.content, dict):
        return
    paths = {photo.image_id: str(photo.path.absolute()) for photo in val.photos}
    images = [{**image, "file_name": paths[image["id"]]} for image in val.content["images"] if image["id"] in paths]
    people = [record for record in val.content["annotations"] if record["image_id"] in paths]
    text = json.dumps({"images": images, "annotations": people, "categories": val.content["categories"]})
    write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))
