"""The contour of a face, by the classic interpreter: a detector finds it, a second model finds its points.

    python examples/face_contour.py photo.jpg -o contour.png

``sanderling run face_landmark photo.jpg -o out.png`` does all of this and draws the whole mesh. Here the
second model is called as scripts for TFLite's interpreter call it.
"""

import argparse

import numpy as np
from PIL import Image, ImageDraw

import sanderling as sd
from sanderling.lite import Interpreter

SIDE = 192  # pixels that the landmark model takes


def hull(points):
    """Returns: the points of the convex hull in order (Andrew's monotone chain)."""

    def half(ordered):
        chain = []
        for p in ordered:
            while len(chain) > 1:
                (ax, ay), (bx, by) = chain[-1] - chain[-2], p - chain[-2]
                if ax * by - ay * bx > 0:
                    break
                chain.pop()
            chain.append(p)
        return chain[:-1]

    ordered = points[np.lexsort(points.T[::-1])]
    return np.array(half(ordered) + half(ordered[::-1]))


def main():
    """Finds a face, its points, and draws the contour."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photo")
    parser.add_argument("-o", "--output", default="contour.png")
    given = parser.parse_args()

    # 1. Where is a face? Boxes come in the photo's own pixels.
    (found,) = sd.run("face_detection_short_range", given.photo)
    if found.error or not found.answer.data["boxes"]:
        raise SystemExit(f"{given.photo}: {found.error or 'no face was found'}")
    left, top, right, bottom = found.answer.data["boxes"][0]["box"]

    # 2. A square around it, half as large again, as the second model wants it: 0 to 1.
    side = 1.5 * max(right - left, bottom - top)
    corner = np.array([left + right - side, top + bottom - side]) / 2
    photo = found.picture.convert("RGB")
    box = (*corner, *(corner + side))
    crop = photo.transform((SIDE, SIDE), Image.Transform.EXTENT, box, Image.Resampling.BILINEAR)
    pixels = np.asarray(crop, np.float32)[None] / 255

    # 3. The classic calls.
    interpreter = Interpreter(model_path=str(sd.load("face_landmark").source), num_threads=2)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], pixels)
    interpreter.invoke()
    outputs = [interpreter.get_tensor(detail["index"]) for detail in interpreter.get_output_details()]

    # 4. 468 points (x, y, depth) of the crop, back in the photo; around them the contour.
    points = next(each for each in outputs if each.size == 3 * 468).reshape(468, 3)[:, :2]
    contour = hull(points / SIDE * side + corner)
    line = [tuple(p) for p in [*contour, contour[0]]]
    ImageDraw.Draw(photo).line(line, fill=(255, 64, 160), width=max(2, photo.width // 200))
    photo.save(given.output)
    (x, y), (width, height) = contour.min(axis=0), np.ptp(contour, axis=0)
    print(f"{given.output}: a face of {width:.0f} × {height:.0f} pixels at ({x:.0f}, {y:.0f})")


if __name__ == "__main__":
    main()
