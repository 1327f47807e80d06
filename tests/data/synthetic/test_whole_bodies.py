"""Scenes of whole bodies as files: the truth, handed in as results, is right in every part."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from vitruvian.data.inspection import inspect
from vitruvian.data.reading import read_labels
from vitruvian.data.synthetic import SyntheticPeople, write_scenes
from vitruvian.evaluation.scoring import score_results
from vitruvian.metrics.wholebody import split
from vitruvian.skeletons import COCO_WHOLEBODY


def test_scenes_of_whole_bodies_are_scored_by_parts(tmp_path: Path) -> None:
    path = write_scenes(SyntheticPeople(COCO_WHOLEBODY, 3, held_back=True), tmp_path, 3, most=4)
    labels = read_labels(path, keep_content=True)
    results = []
    for photo in labels.photos:
        for points in photo.people.keypoints[..., :2]:
            triples = np.concatenate([np.nan_to_num(points), np.ones((133, 1))], 1)
            found = split(triples.reshape(-1).tolist())
            results.append({"image_id": photo.image_id, "category_id": 1, "score": 1.0, **found})
    (tmp_path / "results.json").write_text(json.dumps(results))
    figures = score_results(tmp_path / "results.json", labels)
    assert figures["people"] > 3
    scores = {part: values["AP"] for part, values in figures["parts"].items()}
    assert set(scores) == {"body", "foot", "face", "left_hand", "right_hand", "hand"}
    assert set(scores.values()) == {1.0}
    assert figures["AP"] == 1.0
    assert not [problem for problem in inspect(path).problems if "num_keypoints" in problem]
