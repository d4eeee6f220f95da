"""A portrait before another background: who is in the picture, and a soft cut around them.

    python examples/portrait_segmentation.py photo.jpg -o portrait.png

The model is ``selfie_segmentation`` of the zoo (MediaPipe, Apache-2.0): it is fetched once, by name.
"""

import argparse

import numpy as np
from PIL import Image, ImageFilter

import sanderling as sd


def main():
    """Cuts a person out and blurs the rest."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photo")
    parser.add_argument("-o", "--output", default="portrait.png")
    parser.add_argument("--blur", type=float, default=12, help="radius in pixels")
    given = parser.parse_args()

    # 1. Where is the person? The answer is in the photo's own pixels, whatever size the model works in.
    (found,) = sd.run("selfie_segmentation", given.photo)
    if found.error:
        raise SystemExit(str(found.error))
    print(found.text)

    # 2. The mask: 1 inside the person, 0 outside.
    photo = found.picture.convert("RGB")
    mask = np.asarray(found.answer.arrays["mask"] > 0, np.float32)
    soft = Image.fromarray((mask * 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(2))

    # 3. The photo in front of its own blurred self.
    background = photo.filter(ImageFilter.GaussianBlur(given.blur))
    Image.composite(photo, background, soft).save(given.output)
    print(f"{given.output}: {mask.mean():.0%} of the picture is a person ({found.model_ms:.1f} ms)")


if __name__ == "__main__":
    main()
