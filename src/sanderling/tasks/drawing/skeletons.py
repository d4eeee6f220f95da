"""Well-known sets of landmarks: which points belong together, and what they are called.

The numbers are facts of the models' public documentation: COCO's 17 keypoints, iBUG's 68 points of a face,
and MediaPipe's hand, pose and face landmarkers.
"""

from __future__ import annotations

from dataclasses import dataclass

from sanderling.tasks.drawing.points import Chain


@dataclass(frozen=True, slots=True)
class Skeleton:
    """A set of landmarks.

    Attributes:
        what: the thing that it describes: ``hand``.
        points: how many are shown; a model may give more, which serve itself.
        chains: which are joined.
        names: of the points, by number; those that people have a word for.
        dense: so many points that a mesh shows more than they do.
    """

    what: str
    points: int
    chains: tuple[Chain, ...]
    names: dict[int, str]
    dense: bool = False


def _row(first: int, last: int) -> tuple[int, ...]:
    return tuple(range(first, last + 1))


def _sides(part: str, left: int, right: int) -> dict[int, str]:
    return {left: f"left {part}", right: f"right {part}"}


_BODY = Skeleton(
    "body", 17,
    (
        Chain((3, 1, 0, 2, 4), 0), Chain((5, 6, 12, 11), 1, closed=True), Chain((5, 7, 9), 2),
        Chain((6, 8, 10), 3), Chain((11, 13, 15), 4), Chain((12, 14, 16), 5),
    ),
    {0: "nose"} | _sides("eye", 1, 2) | _sides("ear", 3, 4) | _sides("shoulder", 5, 6) | _sides("elbow", 7, 8)
    | _sides("wrist", 9, 10) | _sides("hip", 11, 12) | _sides("knee", 13, 14) | _sides("ankle", 15, 16),
)  # fmt: skip
_POSE = Skeleton(
    "body", 33,
    (
        Chain((8, 6, 5, 4, 0, 1, 2, 3, 7), 0), Chain((9, 10), 0), Chain((11, 12, 24, 23), 1, closed=True),
        Chain((11, 13, 15, 17, 19, 15, 21), 2), Chain((12, 14, 16, 18, 20, 16, 22), 3),
        Chain((23, 25, 27, 29, 31, 27), 4), Chain((24, 26, 28, 30, 32, 28), 5),
    ),
    {0: "nose"} | _sides("eye", 2, 5) | _sides("shoulder", 11, 12) | _sides("elbow", 13, 14)
    | _sides("wrist", 15, 16) | _sides("hip", 23, 24) | _sides("knee", 25, 26) | _sides("ankle", 27, 28),
)  # fmt: skip
_HAND = Skeleton(
    "hand", 21,
    (
        Chain((0, 1, 2, 3, 4), 0),
        *(Chain(_row(first, first + 3), n + 1) for n, first in enumerate((5, 9, 13, 17))),
        Chain((0, 5, 9, 13, 17), 5, closed=True),
    ),
    {0: "wrist", 4: "thumb", 8: "index finger", 12: "middle finger", 16: "ring finger", 20: "little finger"},
)  # fmt: skip
# Rings around parts of the face, each in its order; left is the person's own.
_OVAL = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
    152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip
_LIPS = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185)
_MOUTH = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191)
_LEFT_EYE = (263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466)
_RIGHT_EYE = (33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246)
_LEFT_BROW = (276, 283, 282, 295, 285, 336, 296, 334, 293, 300)
_RIGHT_BROW = (46, 53, 52, 65, 55, 107, 66, 105, 63, 70)
_FACE_CHAINS = (
    Chain(_OVAL, 6, closed=True), Chain(_LIPS, 1, closed=True), Chain(_MOUTH, 1, closed=True),
    Chain(_LEFT_EYE, 2, closed=True), Chain(_RIGHT_EYE, 2, closed=True),
    Chain(_LEFT_BROW, 4, closed=True), Chain(_RIGHT_BROW, 4, closed=True),
)  # fmt: skip
_FACE = Skeleton("face", 468, _FACE_CHAINS, {}, dense=True)
_IRISES = Skeleton(
    "face", 478,
    (*_FACE_CHAINS, Chain(_row(469, 472), 5, closed=True), Chain(_row(474, 477), 5, closed=True)),
    {}, dense=True,
)  # fmt: skip
_IBUG = Skeleton(
    "face", 68,
    (
        Chain(_row(0, 16), 5), Chain(_row(17, 21), 3), Chain(_row(22, 26), 3), Chain(_row(27, 30), 2),
        Chain(_row(31, 35), 2), Chain(_row(36, 41), 1, closed=True), Chain(_row(42, 47), 1, closed=True),
        Chain(_row(48, 59), 0, closed=True), Chain(_row(60, 67), 0, closed=True),
    ),
    {},
)  # fmt: skip
_KNOWN = {17: _BODY, 33: _POSE, 39: _POSE, 21: _HAND, 468: _FACE, 478: _IRISES, 68: _IBUG}


def skeleton(points: int) -> Skeleton:
    """Returns: the set of so many points; an unknown one has no lines, or a mesh where it is dense."""
    return _KNOWN.get(points) or Skeleton("", points, (), {}, dense=points >= 60)
