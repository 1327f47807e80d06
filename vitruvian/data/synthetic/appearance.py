"""What synthetic people look like: skin, hair, faces, clothes and their patterns, and the light on them."""

from __future__ import annotations

import colorsys
from functools import cache
from typing import NamedTuple

import cv2
import numpy as np

from vitruvian.data.synthetic.body import FOREARM, SHANK, THIGH, UPPER_ARM, Shape
from vitruvian.data.synthetic.poses import length_of
from vitruvian.data.synthetic.surface import (
    HAIR,
    HEAD_PART,
    LEFT_ARM,
    LEFT_FOOT,
    LEFT_HAND,
    LEFT_LEG,
    NUM_PARTS,
    RIGHT_ARM,
    RIGHT_FOOT,
    RIGHT_HAND,
    RIGHT_LEG,
    SKIRT,
    TORSO,
    Garments,
)

SKIN, SHIRT, TROUSERS, SHOES, HAIR_MATERIAL, SOCKS, SKIRT_MATERIAL, SOLE = range(8)
NUM_MATERIALS = 8
PLAIN, STRIPES, BARS, CHECKS, PLAID, LOGO, DOTS = range(7)
PATTERN_CHANCES = (0.48, 0.13, 0.08, 0.06, 0.07, 0.14, 0.04)
NOISE_SIZE = 256
SKIN_TONES = np.array([[255, 219, 190], [241, 194, 160], [224, 172, 128], [198, 134, 92], [141, 85, 52], [84, 50, 32]])
HAIR_COLOURS = np.array([[20, 16, 14], [60, 38, 24], [104, 68, 40], [160, 116, 66], [214, 178, 120], [150, 150, 150]])


class Outfit(NamedTuple):
    """The looks of one person."""

    garments: Garments
    colours: np.ndarray  # (NUM_MATERIALS, 2, 3) 0 to 255, ground and pattern
    patterns: np.ndarray  # (NUM_MATERIALS,)
    periods: np.ndarray  # (NUM_MATERIALS,) m
    limits: np.ndarray  # (NUM_PARTS, 3) m along a part: where the next material begins
    materials: np.ndarray  # (NUM_PARTS, 4)
    folds: float  # strength of the cloth's folds
    face: np.ndarray  # (6,) hairline, beard, brows, mouth's opening, glasses, gaze


class Light(NamedTuple):
    """Light in the camera's frame."""

    direction: np.ndarray  # (3,) towards the light
    up: np.ndarray  # (3,) towards the sky
    colour: np.ndarray  # (3,) of the light
    sky: np.ndarray  # (3,)
    ground: np.ndarray  # (3,)


def draw_colour(rng: np.random.Generator) -> np.ndarray:
    """A cloth's colour (3,): often black, white, grey or blue."""
    kind = rng.random()
    if kind < 0.2:
        return np.full(3, rng.uniform(12, 55)) + rng.normal(0, 4, 3)
    if kind < 0.38:
        return np.full(3, rng.uniform(180, 250)) + rng.normal(0, 5, 3)
    if kind < 0.48:
        return np.full(3, rng.uniform(70, 170)) + rng.normal(0, 6, 3)
    hue = rng.normal(0.61, 0.03) if kind < 0.64 else rng.random()
    red, green, blue = colorsys.hsv_to_rgb(hue % 1, rng.uniform(0.3, 0.95), rng.uniform(0.2, 0.95))
    return np.array([red, green, blue]) * 255


def draw_outfit(rng: np.random.Generator, shape: Shape) -> Outfit:
    """Random clothes, skin, hair and face."""
    bare = rng.random() < 0.07
    tight = rng.random() < 0.25  # leotards, running clothes
    sleeve = float(rng.choice([0.0, 0.3, 0.95], p=[0.25, 0.4, 0.35]))
    sleeve = 0.0 if bare else min(1.0, max(0.0, sleeve + rng.normal(0, 0.05)))
    trouser = float(rng.choice([0.08, 0.3, 0.5, 0.97], p=[0.12, 0.18, 0.12, 0.58])) + rng.normal(0, 0.03)
    with_skirt = not tight and rng.random() < 0.13
    skirt = float(np.clip(rng.normal(0.35, 0.14), 0.15, 0.85)) if with_skirt else 0.0
    trouser = 0.05 if with_skirt and rng.random() < 0.7 else min(max(trouser, 0.04), 0.98)
    loose = 0.0 if tight else rng.uniform(0.0, 1.0)
    long_hair = rng.random() < 0.4
    garments = Garments(
        sleeve=sleeve,
        sleeve_ease=1.04 + 0.35 * loose,
        trouser=trouser,
        trouser_ease=1.03 + 0.28 * loose,
        shirt_ease=1.0 if bare or tight else 1.02 + 0.14 * loose,
        skirt=skirt,
        flare=rng.uniform(0.0, 0.9),
        hair=rng.uniform(-0.6, 0.2) if long_hair else rng.uniform(0.12, 0.3),
        volume=0.0 if rng.random() < 0.1 else rng.uniform(0.03, 0.13),
        shoe=rng.uniform(0.95, 1.18),
    )
    colours = np.stack([[draw_colour(rng), draw_colour(rng)] for _ in range(NUM_MATERIALS)])
    tone = rng.uniform(0, len(SKIN_TONES) - 1.001)
    low = int(tone)
    skin = SKIN_TONES[low] + (tone - low) * (SKIN_TONES[low + 1] - SKIN_TONES[low]) + rng.normal(0, 6, 3)
    colours[SKIN] = (skin, skin * (0.8, 0.62, 0.6))
    shade = HAIR_COLOURS[rng.integers(len(HAIR_COLOURS))] * rng.uniform(0.7, 1.25)
    colours[HAIR_MATERIAL] = (colours[SHIRT, 1] if rng.random() < 0.12 else shade, shade * 0.6)  # or a cap
    if rng.random() < 0.12 or (tight and rng.random() < 0.4):
        colours[TROUSERS] = colours[SHIRT]
    if rng.random() < 0.25:
        colours[SKIRT_MATERIAL] = colours[SHIRT]
    if rng.random() < 0.2:
        colours[SHOES] = colours[SKIN]  # barefoot
        colours[SOLE] = colours[SKIN]
    patterns = rng.choice(len(PATTERN_CHANCES), NUM_MATERIALS, p=PATTERN_CHANCES)
    patterns[TROUSERS] = patterns[TROUSERS] if rng.random() < 0.35 else PLAIN
    patterns[[SKIN, HAIR_MATERIAL, SOCKS, SOLE]] = PLAIN
    periods = np.exp(rng.uniform(np.log(0.025), np.log(0.16), NUM_MATERIALS))
    limits, materials = layers(rng, shape, garments, bare)
    face = np.array(
        [
            rng.uniform(0.74, 0.88),
            rng.uniform(0.3, 0.8) * (rng.random() < 0.2),
            rng.uniform(0.3, 0.9),
            rng.random() ** 3,
            rng.random() < 0.1,
            rng.normal(0, 0.4),
        ]
    )
    folds = 0.25 if tight or bare else rng.uniform(0.5, 1.0)
    return Outfit(garments, colours.clip(4, 252), patterns, periods, limits, materials, folds, face)


def layers(rng: np.random.Generator, shape: Shape, garments: Garments, bare: bool) -> tuple[np.ndarray, np.ndarray]:
    """Where along each part materials change, limits (NUM_PARTS, 3) m, and which they are, (NUM_PARTS, 4)."""
    limits = np.full((NUM_PARTS, 3), np.inf)
    materials = np.full((NUM_PARTS, 4), SKIN)
    trunk, height = 0.304 * shape.height * shape.trunk, shape.height
    waist = rng.uniform(0.12, 0.42) * trunk
    midriff = waist if rng.random() < 0.85 else rng.uniform(0.4, 0.62) * trunk
    neckline = rng.uniform(0.9, 1.04) * trunk if rng.random() < 0.75 else rng.uniform(0.72, 0.9) * trunk
    limits[TORSO] = (waist, waist if bare else max(midriff, waist), waist if bare else neckline)
    materials[TORSO] = (SKIRT_MATERIAL if garments.skirt else TROUSERS, SKIN, SHIRT, SKIN)
    upper, lower = UPPER_ARM * height * shape.arms, FOREARM * height * shape.arms
    arm = np.interp(2 * garments.sleeve, [0, 1, 2], [0, upper, upper + lower])
    limits[[LEFT_ARM, RIGHT_ARM], 0] = -1.0 if garments.sleeve < 0.03 else arm
    materials[[LEFT_ARM, RIGHT_ARM], 0] = SHIRT
    thigh, shank = THIGH * height * shape.legs, SHANK * height * shape.legs
    sock = rng.choice([0.02, 0.12, 0.6], p=[0.45, 0.35, 0.2])
    leg = float(np.interp(2 * garments.trouser, [0, 1, 2], [0, thigh, thigh + shank]))
    limits[[LEFT_LEG, RIGHT_LEG], :2] = (leg, max(leg, thigh + (1 - sock) * shank))
    materials[[LEFT_LEG, RIGHT_LEG]] = (TROUSERS, SKIN, SOCKS, SOCKS)
    limits[[LEFT_FOOT, RIGHT_FOOT], 0] = -0.55  # the sole; feet tell it by the height round the foot
    materials[[LEFT_FOOT, RIGHT_FOOT]] = (SOLE, SHOES, SHOES, SHOES)
    if rng.random() < 0.06:  # gloves
        materials[[LEFT_HAND, RIGHT_HAND]] = SOCKS
    materials[HAIR] = HAIR_MATERIAL
    materials[SKIRT] = SKIRT_MATERIAL
    return limits, materials


def draw_light(rng: np.random.Generator, up: np.ndarray) -> Light:
    """A random light for a camera that sees the sky in the direction `up` (3,)."""
    direction = rng.standard_normal(3)
    direction = direction / np.linalg.norm(direction) + 0.9 * up + np.array([0, 0, -0.35])
    sun = rng.uniform(0.15, 0.95)
    tint = 1 + rng.normal(0, 0.07, 3)
    level = rng.uniform(0.75, 1.15)
    return Light(
        direction / np.linalg.norm(direction),
        up,
        level * sun * tint,
        level * (1.05 - 0.75 * sun) * (1 + rng.normal(0, 0.05, 3)),
        level * rng.uniform(0.25, 0.7) * (1.0 - 0.7 * sun) * (1 + rng.normal(0, 0.07, 3)),
    )


@cache
def cloth() -> np.ndarray:
    """Folds (NOISE_SIZE, NOISE_SIZE, 3) float32 that repeat without a seam: brightness and slopes along both axes."""
    rng = np.random.default_rng(1)
    total = np.zeros((NOISE_SIZE, NOISE_SIZE), np.float32)
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(NOISE_SIZE), np.fft.fftfreq(NOISE_SIZE)))
    for scale, weight in ((0.012, 1.0), (0.04, 0.5), (0.15, 0.25)):
        waves = np.fft.fft2(rng.standard_normal(total.shape)) * np.exp(-((frequency / scale) ** 2))
        layer = np.fft.ifft2(waves).real
        total += (weight * layer / layer.std()).astype(np.float32)
    slope_x, slope_y = np.roll(total, -2, 1) - np.roll(total, 2, 1), np.roll(total, -2, 0) - np.roll(total, 2, 0)
    return np.stack([total / total.std(), slope_x / slope_x.std(), slope_y / slope_y.std()], -1)


def shade(outfit: Outfit, light: Light, parts: np.ndarray, places: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """Colours (P, 3) float32, 0 to 255, of points on one person.

    Args:
        outfit: of the person.
        light: on the scene.
        parts: (P,) of the body.
        places: (P, 3) as of `surface`.
        normals: (P, 3) unit, camera's frame.
    """
    limits = outfit.limits.astype(np.float32)[parts]
    along = places[:, 1]
    layer = (along >= limits[:, 0]).astype(np.int8) + (along >= limits[:, 1]) + (along >= limits[:, 2])
    material = outfit.materials[parts, layer]
    colours = outfit.colours.astype(np.float32)
    albedo = colours.reshape(-1, 3)[2 * material + pattern(outfit, material, places)]
    on_head = np.flatnonzero(parts == HEAD_PART)
    if len(on_head):
        albedo[on_head] = paint_face(outfit, places[on_head])
    step = 300.0
    u = (places[:, 0] * step + 37 * parts).astype(np.int32) % NOISE_SIZE
    v = (along * step * np.where(parts >= HEAD_PART, 0.2, 1) + 71 * parts).astype(np.int32) % NOISE_SIZE
    bumps = cloth().reshape(-1, 3)[v * NOISE_SIZE + u]
    strength = np.where(material == SKIN, 0.1, outfit.folds).astype(np.float32)
    normals = normals.copy()
    normals[:, :2] += 0.22 * strength[:, None] * bumps[:, 1:]
    normals /= length_of(normals)
    brightness = 1 + 0.05 * (0.4 + strength) * bumps[:, 0]
    return albedo * lit(light, normals, material) * brightness[:, None]


def lit(light: Light, normals: np.ndarray, material: np.ndarray) -> np.ndarray:
    """Factors (P, 3) on colours of points with these normals: sun, sky, ground, and skin's and shoes' gloss."""
    direct = np.maximum(normals @ light.direction.astype(np.float32), 0)
    sky = 0.5 + 0.5 * (normals @ light.up.astype(np.float32))
    factors = direct[:, None] * light.colour.astype(np.float32)
    factors += sky[:, None] * (light.sky - light.ground).astype(np.float32) + light.ground.astype(np.float32)
    half = light.direction - np.array([0, 0, 1.0])
    gloss = np.maximum(normals @ (half / np.linalg.norm(half)).astype(np.float32), 0)
    for _ in range(4):
        gloss *= gloss  # to the 16th power
    shiny = np.array([0.2, 0.03, 0.03, 0.25, 0.12, 0.03, 0.05, 0.1], np.float32)[material]
    return np.sqrt(factors * 0.9 + 0.02) + (shiny * gloss * light.colour.mean())[:, None]


def pattern(outfit: Outfit, material: np.ndarray, places: np.ndarray) -> np.ndarray:
    """0 or 1 (P,): whether a point has the second colour of its material."""
    found = np.zeros(len(material), np.int64)
    for one in np.flatnonzero(outfit.patterns != PLAIN):
        own = np.flatnonzero(material == one)
        if len(own):
            found[own] = figure(outfit.patterns[one], places[own], np.float32(outfit.periods[one]))
    return found


def figure(kind: int, places: np.ndarray, period: np.float32) -> np.ndarray:
    """Where (P,) bool a pattern has its second colour; its period in metres."""
    u, v = places[:, 0] / period, places[:, 1] / period
    first, second = u - np.floor(u), v - np.floor(v)
    if kind == STRIPES:
        return second < 0.42
    if kind == BARS:
        return first < 0.42
    if kind == CHECKS:
        return (first < 0.5) ^ (second < 0.5)
    if kind == PLAID:
        return ((first < 0.42) & (second < 0.42)) | (first > 0.9) | (second > 0.9)
    if kind == DOTS:
        return (first - 0.5) ** 2 + (second - 0.5) ** 2 < 0.08
    near = (np.abs(places[:, 0]) < 0.085) & (np.abs(places[:, 1] - 0.36) < 0.07) & (places[:, 2] > 0.1)
    marks = np.floor(u * 3).astype(np.int32) * 7 + np.floor(v * 2.2).astype(np.int32) * 13
    return near & (marks % 5 > 1)  # a logo on the chest


def paint_face(outfit: Outfit, places: np.ndarray) -> np.ndarray:
    """Colours (P, 3) of points on the skull, places left, up and forward in head heights."""
    hairline, beard, brows, opening, glasses, gaze = outfit.face.astype(np.float32).tolist()
    skin, lips = outfit.colours[SKIN].astype(np.float32)
    hair = outfit.colours[HAIR_MATERIAL, 0].astype(np.float32)
    x, y, front = places.T
    side = np.abs(x)
    colours = np.tile(skin, (len(x), 1))

    def paint(where: np.ndarray, colour: np.ndarray | tuple, share: float = 1.0) -> None:
        colours[where] = colours[where] * (1 - share) + np.asarray(colour, np.float32) * share

    face = front > 0.05
    paint(face & ((side - 0.2) ** 2 / 0.012 + (y - 0.33) ** 2 / 0.01 < 1), lips, 0.25)  # cheeks
    if beard:
        paint(face & (y < 0.3 + 0.4 * (side - 0.15)) & ((side > 0.08) | (np.abs(y - 0.195) > 0.04)), hair, beard)
    paint(face & (side < 0.075) & (np.abs(y - 0.305) < 0.014), skin * 0.55)
    across = (side / 0.115) ** 2
    paint(face & (across + ((y - 0.193) / 0.042) ** 2 < 1), lips)
    paint(face & (across * 1.3 + ((y - 0.195) / (0.008 + 0.022 * opening)) ** 2 < 1), (50, 18, 18))
    eye = np.where(x > 0, x - 0.14, x + 0.14)
    paint(face & ((eye / 0.078) ** 2 + ((y - 0.505) / 0.046) ** 2 < 1), skin * 0.6)
    paint(face & ((eye / 0.066) ** 2 + ((y - 0.5) / 0.03) ** 2 < 1), (232, 230, 226))
    paint(face & ((eye - 0.018 * gaze) ** 2 + (y - 0.5) ** 2 < 0.0011) & (np.abs(y - 0.5) < 0.031), (38, 26, 20))
    paint(
        face & (np.abs(eye - np.sign(x) * 0.01) < 0.095) & (np.abs(y - 0.598 + 0.9 * eye**2) < 0.019), hair * 0.8, brows
    )
    if glasses:
        paint(face & (eye**2 / 0.0095 + (y - 0.49) ** 2 / 0.0045 < 1), (25, 25, 30), 0.9)
        paint((np.abs(y - 0.53) < 0.012) & (front > -0.02), (25, 25, 30), 0.9)
    scalp = (y > hairline + 0.1 * side) | ((front < 0.08 + 0.35 * (y - 0.5)) & (y > 0.3) & (places[:, 1] > -0.5))
    if outfit.garments.volume:
        paint(scalp, hair)
    return colours


def blend(image: np.ndarray, colours: np.ndarray, coverage: np.ndarray) -> np.ndarray:
    """`colours` (H, W, 3) uint8 that are already weighted by `coverage` (H, W) uint8 over `image` (H, W, 3) uint8."""
    kept = cv2.cvtColor(255 - coverage, cv2.COLOR_GRAY2RGB)
    return cv2.add(cv2.multiply(image, kept, scale=1 / 255), colours)
