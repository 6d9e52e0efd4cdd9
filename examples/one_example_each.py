"""New classes from one example each: digits, by an embedding that was learned from other characters without labels.

The weights that come with the package were learned from unlabelled drawings of Omniglot. They have seen neither
scikit-learn's digits nor any label. Takes some seconds.
"""

import numpy as np
from sklearn.metrics import adjusted_rand_score

from firstsight import Clusterer, FewShotClassifier, datasets


def main() -> None:
    digits = datasets.load_digits()
    rng = np.random.default_rng(0)
    shots = [int(rng.choice(np.flatnonzero(digits.y == digit))) for digit in range(10)]
    model = FewShotClassifier.pretrained("omniglot").fit(digits.X[shots], digits.y[shots])
    pixels = digits.X.reshape(len(digits.X), -1)
    nearest = ((pixels[:, None] - pixels[shots]) ** 2).sum(2).argmin(1)
    print(f"one example of each digit: {model.score(digits.X, digits.y):.0%} of the digits are told right,")
    print(f"{(nearest == digits.y).mean():.0%} by the nearest of the examples in pixels")

    some = rng.permutation(len(digits.y))[:300]
    found = Clusterer(random_state=0).fit_predict(model.transform(digits.X[some]))
    in_pixels = Clusterer(random_state=0).fit_predict(pixels[some])
    print("300 digits clustered without any example, adjusted Rand index:")
    print(
        f"{adjusted_rand_score(digits.y[some], found):.2f} in the learned space, "
        f"{adjusted_rand_score(digits.y[some], in_pixels):.2f} in pixels"
    )


if __name__ == "__main__":
    main()
