"""Detectors of transformers (RT-DETR, D-FINE, DETR, YOLOS, ...): from the Hugging Face hub or a local folder.

Each of them gives a person one box by itself; none needs a suppression of doubles.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vitruvian.errors import InputError

FILES = ("config.json", "preprocessor_config.json", "model.safetensors")
"""What a folder of transformers consists of."""

WITHOUT_DETECTOR = "boxes work without a detector (--boxes FILE, --box X0 Y0 X1 Y1; in Python boxes=...)"
"""What always works, for messages."""


class TransformersNetwork:
    """A detector of transformers: a `PeopleNetwork` by its own preparation, network and reading of the outputs."""

    def __init__(self, processor: Any, model: Any, person: int, device: torch.device) -> None:
        self.processor, self.model, self.person = processor, model.eval().to(device), person
        self.device = device

    @torch.inference_mode()
    def __call__(self, images: Sequence[np.ndarray], threshold: float) -> list[torch.Tensor]:
        inputs = self.processor(images=list(images), return_tensors="pt", input_data_format="channels_last")
        outputs = self.model(**inputs.to(self.device))
        sizes = [image.shape[:2] for image in images]
        # It keeps what is above, and a person of just the threshold is one.
        below = float(np.nextafter(np.float32(threshold), np.float32(-1)))
        found = self.processor.post_process_object_detection(outputs, threshold=below, target_sizes=sizes)
        people = [one["labels"] == self.person for one in found]
        return [torch.cat([one["boxes"], one["scores"][:, None]], 1)[mask] for one, mask in zip(found, people)]


def fetched(name: str, device: torch.device) -> TransformersNetwork:
    """The detector OWNER/NAME of the hub, from the hub's cache on this machine where it was fetched before.

    Raises InputError that says what to download where it cannot be fetched, and as `from_folder` does.
    """
    import_transformers()
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        folder = snapshot_download(name, allow_patterns=["config.json", "preprocessor_config.json", "*.safetensors*"])
    except (OSError, HfHubHTTPError, HFValidationError) as error:
        why = str(error).splitlines()[0].rstrip(".")
        raise InputError(
            f"the detector {name} could not be fetched ({why}); download {', '.join(FILES)} of "
            f"https://huggingface.co/{name} into a folder and give that (--detector FOLDER); {WITHOUT_DETECTOR}"
        ) from None
    return from_folder(Path(folder), device)


def from_folder(folder: Path, device: torch.device) -> TransformersNetwork:
    """The detector in a folder that `save_pretrained` of network and image processor wrote; no code in it is run.

    Raises InputError when a file is missing or damaged, the network is no detector or knows no people, or
    transformers is not installed.
    """
    transformers = import_transformers()
    missing = [name for name in FILES[:2] if not (folder / name).is_file()]
    if missing:
        raise InputError(
            f"{folder} is no folder of a detector: it lacks {' and '.join(missing)}; expected {', '.join(FILES)}, as "
            "transformers' save_pretrained of the network and of its image processor write them"
        )
    given: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    try:
        with quiet(transformers):
            processor = transformers.AutoImageProcessor.from_pretrained(folder, **given)
            model, report = transformers.AutoModelForObjectDetection.from_pretrained(
                folder,
                use_safetensors=True,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # they are in the report
                dtype=torch.float32,
                **given,
            )
    except Exception as error:  # a file that is damaged or of another network makes it stumble in any way
        why = " ".join(str(error).split())[:300].rstrip(".")
        raise InputError(f"{folder}: no detector of transformers can be read from it ({why})") from error
    absent = sorted([*report["missing_keys"], *(key for key, *_ in report["mismatched_keys"])])
    if absent:
        raise InputError(
            f"{folder}: its weights lack {len(absent)} tensors of the network that config.json describes, {absent[0]} "
            "first, or have them in another shape; fetch or save both again"
        )
    return TransformersNetwork(processor, model, person_of(model.config.id2label, folder), device)


def person_of(labels: dict[int, str], folder: Path) -> int:
    """The number of the class that is a person; raises InputError that lists the classes where there is none."""
    found = [number for number, label in labels.items() if label.lower() in ("person", "people", "human")]
    if not found:
        some = ", ".join(list(labels.values())[:5]) + (f" and {len(labels) - 5} more" if len(labels) > 5 else "")
        raise InputError(
            f"{folder}: the detector knows no class 'person', only {some}; name it in id2label of config.json, or "
            "choose a detector of people"
        )
    return int(found[0])


def import_transformers() -> Any:
    """The library; raises InputError that names the extra where it is not installed."""
    try:
        import transformers
    except ModuleNotFoundError as error:
        raise InputError(
            f"this detector needs {error.name}: pip install 'vitruvian[detect]'; {WITHOUT_DETECTOR}"
        ) from None
    return transformers


@contextmanager
def quiet(transformers: Any) -> Iterator[None]:
    """Meanwhile transformers shows no bars and says nothing but errors, as far as it was not told otherwise."""
    logging = transformers.utils.logging
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
