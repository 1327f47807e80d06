"""The people whom a detector finds in a data set, as a file of detections that evaluation reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tqdm import tqdm

from vitruvian.data.labels import Labels
from vitruvian.detection import Detector
from vitruvian.evaluation import check_photos
from vitruvian.files import write_atomically


def write_detections(detector: Detector, labels: Labels, path: str | Path) -> None:
    """Writes the people found in each photo of a data set, in COCO's form of detections; `read_boxes` reads them.

    Raises InputError when a photo is missing, which is said before the first is looked at, or cannot be read; then
    nothing is written.
    """
    check_photos(labels, labels.photos)
    records: list[dict[str, Any]] = []
    found = detector.detect_stream(photo.path for photo in labels.photos)
    for photo, detection in zip(tqdm(labels.photos, "detecting", unit="photo", disable=None), found):
        if detection.error:
            raise detection.error
        for x0, y0, x1, y1, score in detection.boxes.tolist():
            box = [round(value, 3) for value in (x0, y0, x1 - x0, y1 - y0)]
            record = {"image_id": photo.image_id, "category_id": labels.category_id, "bbox": box}
            records.append({**record, "score": round(score, 6)})
    text = json.dumps(records, allow_nan=False)
    write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))
