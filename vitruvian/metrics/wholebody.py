"""AP and AR of COCO-WholeBody: body, foot, face, each hand, and all 133 joints together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from vitruvian.data.coco import WHOLE_BODY
from vitruvian.errors import InputError
from vitruvian.metrics.coco import FIGURES, Annotations, Results, Scores, scored
from vitruvian.metrics.records import load_records, read_found, read_truth, table
from vitruvian.skeletons import COCO, COCO_WHOLEBODY

Record = Mapping[str, Any]

PARTS = {part: COCO_WHOLEBODY.parts[part] for part in ("body", *WHOLE_BODY)} | {"whole": tuple(range(133))}
"""What is scored, by the joints of each."""

_SCORES = {part: f"{name}_score" for part, name in WHOLE_BODY.items()} | {"body": "score", "whole": "wholebody_score"}


def evaluate_wholebody(
    truth: Annotations, results: Results, sigmas: Sequence[float] | None = None
) -> dict[str, dict[str, float]]:
    """The ten figures of COCO for each part: `body`, `foot`, `face`, `left_hand`, `right_hand` and `whole`.

    `hand` is the mean of both hands, which published tables print. See `score_wholebody` for how each is obtained.
    """
    return with_hand({part: scores.figures for part, scores in score_wholebody(truth, results, sigmas).items()})


def score_wholebody(truth: Annotations, results: Results, sigmas: Sequence[float] | None = None) -> dict[str, Scores]:
    """Each part of COCO-WholeBody scored as COCO's keypoints are, the way its own evaluation does it (Jin, ECCV 2020).

    A person does not count for a part of which no joint has a visibility above 0; `num_keypoints` and the `*_valid`
    flags play no role. A result whose joints of a part all have the score 0 is no result for that part. The size of a
    person is `area`, that of a result the extent of its 17 body joints, for every part. Results are ranked by the
    part's own score (`foot_score`, `face_score`, `lefthand_score`, `righthand_score`, `wholebody_score`), or by `score`
    where it is missing.

    Args:
        truth: annotations with `keypoints`, `foot_kpts`, `face_kpts`, `lefthand_kpts` and `righthand_kpts`, or with all
            133 joints in `keypoints`; a missing field is a part that is not labelled.
        results: COCO results with the same fields, all of them.
        sigmas: (133,); None: those of COCO-WholeBody.

    Raises:
        InputError: as `evaluate_coco`; or a field is missing or has another number of joints.
    """
    sigmas = COCO_WHOLEBODY.oks_sigmas if sigmas is None else sigmas
    truth_name, annotations = load_records(truth, "the truth")
    results_name, records = load_records(results, "the results")
    joints = COCO_WHOLEBODY.num_joints
    people, notes = read_truth(annotations, joints, values_of=joined_truth, name=truth_name)
    found, more = read_found(records, people, joints, values_of=joined, name=results_name)
    scores = {}
    for part, own_joints in PARTS.items():
        index = list(own_joints)
        keypoints = people.keypoints[:, index]
        own_people = people._replace(keypoints=keypoints, counts=(keypoints[..., 2] > 0).sum(1))
        own_scores = scores_of_part(records, _SCORES[part], results_name)
        own = found._replace(keypoints=found.keypoints[:, index], scores=own_scores)
        seen = own.select((own.keypoints[..., 2] != 0).any(1))
        scores[part] = scored(own_people, seen, [sigmas[joint] for joint in index], [*notes, *more])
    return scores


def scores_of_part(records: Sequence[Record], key: str, name: str) -> np.ndarray:
    """The scores (N,) under `key`, or under `score` where a record has none; `name` is that of the file in messages."""
    values = [[record.get(key, record["score"])] for record in records]
    scores = table(values, 1, lambda index: f"{name}: result {index}", key)[:, 0]
    if not np.isfinite(scores).all():
        index = int(np.isfinite(scores).argmin())
        raise InputError(f"{name}: result {index} has {scores[index]} in {key!r}, expected a finite number")
    return scores


def joined_truth(record: Record, where: str) -> list[float]:
    """`joined` of an annotation, whose missing fields are parts that are not labelled."""
    return joined(record, where, missing=True)


def joined(record: Record, where: str, missing: bool = False) -> list[float]:
    """The 133 joints (x, y, v of each) of a record, from its five fields or from `keypoints` alone.

    Raises InputError where a field has another length, or is not there though nothing may be `missing`.
    """
    body = record.get("keypoints") or ()
    if len(body) == 3 * COCO_WHOLEBODY.num_joints:
        return list(body)
    fields = {"keypoints": COCO.num_joints}
    fields |= {f"{name}_kpts": len(COCO_WHOLEBODY.parts[part]) for part, name in WHOLE_BODY.items()}
    values: list[float] = []
    for name, joints in fields.items():
        own = record.get(name) or ([0.0] * (3 * joints) if missing else ())
        if len(own) != 3 * joints:
            raise InputError(f"{where} has {len(own)} values in '{name}', expected 3 for each of {joints} joints")
        values += own
    return values


def split(values: Sequence[float]) -> dict[str, list[float]]:
    """The 133 joints (x, y, v of each) as the five fields of COCO-WholeBody."""
    fields = {"body": "keypoints"} | {part: f"{name}_kpts" for part, name in WHOLE_BODY.items()}
    return {name: taken(values, PARTS[part]) for part, name in fields.items()}


def taken(values: Sequence[float], joints: Sequence[int]) -> list[float]:
    """x, y, v of some joints, which follow one another."""
    return list(values[3 * joints[0] : 3 * joints[-1] + 3])


def with_hand(figures: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    """The figures of the parts, and those of the table's column "hand"."""
    return figures | {"hand": mean_of_hands(figures["left_hand"], figures["right_hand"])}


def mean_of_hands(left: Mapping[str, float], right: Mapping[str, float]) -> dict[str, float]:
    """The figures of a table's column "hand": -1 where a hand has none."""
    return {name: -1.0 if min(left[name], right[name]) < 0 else (left[name] + right[name]) / 2 for name in FIGURES}
