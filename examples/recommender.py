"""A recommender: a network with two inputs, a user and an item, from training to a list of suggestions.

    pip install 'sanderling[keras]'
    python examples/recommender.py

The ratings are made up: every user has a taste and every item a character, both hidden, and a user likes
what fits. The network learns a vector for every user and every item from the ratings that are known; what it
then says rightly of pairs that it has not seen, it has understood.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "jax")  # read when keras is imported

import keras
import numpy as np

import sanderling as sd

SEED, TASTES = 3, 4


def ratings(users: int, items: int, share: float) -> tuple[np.ndarray, np.ndarray]:
    """Returns: whether each user likes each item, and which of that is known; both [users, items]."""
    rng = np.random.default_rng(SEED)
    taste, character = rng.standard_normal((users, TASTES)), rng.standard_normal((items, TASTES))
    likes = taste @ character.T + 0.3 * rng.standard_normal((users, items)) > 0
    return likes, rng.random((users, items)) < share


def build(users: int, items: int) -> keras.Model:
    """Returns: (user, item) → the probability that the one likes the other."""
    user = keras.Input((1,), dtype="int32", name="user")
    item = keras.Input((1,), dtype="int32", name="item")
    weight = keras.regularizers.L2(1e-5)
    vectors = [
        keras.layers.Flatten()(keras.layers.Embedding(count, 16, embeddings_regularizer=weight)(ids))
        for count, ids in ((users, user), (items, item))
    ]
    together = keras.layers.Concatenate()([*vectors, keras.layers.Multiply()(vectors)])
    hidden = keras.layers.Dense(32, activation="relu")(together)
    return keras.Model([user, item], keras.layers.Dense(1, activation="sigmoid", name="likes")(hidden))


def pairs(chosen: np.ndarray) -> dict[str, np.ndarray]:
    """Returns: the network's inputs for all pairs that are chosen in [users, items]."""
    user, item = np.nonzero(chosen)
    return {"user": user[:, None].astype(np.int32), "item": item[:, None].astype(np.int32)}


def main() -> None:
    """Trains, converts, and suggests."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--users", type=int, default=300)
    parser.add_argument("--items", type=int, default=200)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--out", type=Path, default=Path("recommender.tflite"))
    asked = parser.parse_args()

    keras.utils.set_random_seed(SEED)
    likes, known = ratings(asked.users, asked.items, share=0.3)
    net = build(asked.users, asked.items)
    net.compile(keras.optimizers.Adam(0.01), "binary_crossentropy")
    net.fit(pairs(known), likes[known].astype(np.float32), batch_size=256, epochs=asked.epochs, verbose=0)

    sd.convert(net, asked.out, samples={name: ids[:64] for name, ids in pairs(~known).items()})
    print(f"{asked.out}: {asked.out.stat().st_size / 1024:.0f} kB")

    session = sd.Session(asked.out)
    unseen = np.random.default_rng(SEED).permutation(np.argwhere(~known))[:1000]
    scores = [rate(session, int(user), int(item)) for user, item in unseen]
    right = np.mean((np.array(scores) > 0.5) == likes[unseen[:, 0], unseen[:, 1]])
    print(f"right on {right:.1%} of {len(unseen)} pairs that it has never seen")

    user = 7
    fresh = np.flatnonzero(~known[user])
    best = sorted(fresh, key=lambda item: rate(session, user, int(item)), reverse=True)[:5]
    for item in best:
        mark = "likes it" if likes[user, item] else "does not"
        print(f"user {user}: item {item:3d}  {rate(session, user, int(item)):.0%}  (in truth: {mark})")


def rate(session: sd.Session, user: int, item: int) -> float:
    """Returns: the probability that a user likes an item."""
    answer = session({"user": np.array([[user]], np.int32), "item": np.array([[item]], np.int32)})
    return float(np.asarray(next(iter(answer.values()))).item())


if __name__ == "__main__":
    main()
