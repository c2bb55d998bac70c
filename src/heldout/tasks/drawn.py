"""What is measured of drawn images: how they lie beside real ones, example by example. Imports no torch.

Each measure is the mean of a column of predictions. A measure of two samples is no mean of values that single examples
have by themselves; its column holds pseudo-values: their mean is the measure, and their spread that of its first-order
terms, those of the images drawn beside an example among them (Hoeffding 1948). A bootstrap over examples then tells how
far the measure may be off by the choice of real and of drawn images.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from heldout.data.store import Split
from heldout.data.subset import fixed_subset
from heldout.models.seeded import DRAWN_BESIDE, Draw, seeds_of

# scores by a critic of images uint8 [n, channels, height, width], float64 [n]
Criticise = Callable[[np.ndarray], np.ndarray]

# share of the variance of train that the points keep, and the most of their coordinates
KEPT_VARIANCE = 0.95
MOST_COORDINATES = 64
# neighbours whose distance is the radius around an image, as in Kynkäänniemi et al. 2019, section 4
NEIGHBOURS = 3
# parts of space in which distances to train are compared, and how many of either kind one must hold to say something
CELLS = 10
FEWEST_IN_CELL = 5
# rows of a matrix of similarities held in memory at once
ROWS = 1024


class RealImages:
    """Train and validation as points, beside which drawn images are measured.

    Points are the first principal components of the pixels of train, as many as hold 95 % of its variance, at most 64,
    on the scale on which the variance of a pixel is 1 on average. They are fitted to train alone, need no labels and no
    network, and distances between them are nearly those between the pixels.
    """

    def __init__(self, train: Split, validation: Split) -> None:
        from sklearn.cluster import KMeans
        from sklearn.decomposition import PCA

        pixels = _pixels(train.inputs["x"])
        self._scale = float(np.sqrt(pixels.var(axis=0).mean())) or 1.0
        fitted = PCA(min(MOST_COORDINATES, *pixels.shape), svd_solver="full").fit(pixels)
        enough = int(np.searchsorted(fitted.explained_variance_ratio_.cumsum(), KEPT_VARIANCE)) + 1
        self._mean, self._axes = fitted.mean_, fitted.components_[:enough]
        self._images = train.inputs["x"]
        self._rows = {str(one): row for row, one in enumerate(train.ids)}
        self._train = self.points(train.inputs["x"])
        self._validation = self.points(validation.inputs["x"])
        cells = KMeans(min(CELLS, len(self._train)), n_init=1, random_state=0).fit(self._train)
        self._centres = cells.cluster_centers_

    def points(self, images: np.ndarray) -> np.ndarray:
        """Float64 [n, coordinates]."""
        return np.asarray((_pixels(images) - self._mean) @ self._axes.T / self._scale)

    def measured(self, split: Split, draw: Draw, critic: Criticise | None = None) -> dict[str, np.ndarray]:
        """Columns of predictions, float64 [n]: of each example and of the images drawn beside it.

        docs/reference/record.md says what they are.
        """
        rows = np.array([self._rows.get(str(one), -1) for one in split.ids])
        is_train = bool((rows >= 0).all())
        real = self.points(split.inputs["x"])
        # of as many real images that are not those of the split
        others = self._validation if is_train else self._train[fixed_subset(len(self._train), len(real))]
        images = draw(seeds_of(split.ids))
        drawn = self.points(images)
        columns = {
            "distance": kernel_distances(real, drawn),
            "reference": kernel_distances(real, self.points(self._pixel_by_pixel(split.ids))),
            "precision": _by_example(within(drawn, real)),
            # a sample that is larger would cover more
            "recall": within(real, drawn[::DRAWN_BESIDE]),
            "recall_of_real": within(real, others),
            "closer": closer(
                self._to_train(real, rows), self._cells(real), self._to_train(drawn, None), self._cells(drawn)
            ),
            "copied": self._copied(drawn, rows) if is_train else copied(drawn, real, self._train),
        }
        if critic is not None:
            columns["critic"] = above(critic(split.inputs["x"]), critic(images))
        return columns

    def nearest_in_train(self, drawn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of each drawn image the nearest one of train, uint8 as they are, and its distance, float64 [n]."""
        distance, row = _nearest(self._train, self.points(drawn), 1)
        return np.asarray(self._images[row[:, 0]]), distance[:, 0]

    def _copied(self, drawn: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """As `copied`, told by images of train: by how much more often than others they are the nearest."""
        of_all = copied(drawn, self._train, self._validation)[rows]
        return np.asarray(-of_all * len(self._train) / len(self._validation))

    def _cells(self, points: np.ndarray) -> np.ndarray:
        return np.asarray(_nearest(self._centres, points, 1)[1][:, 0])

    def _to_train(self, points: np.ndarray, rows: np.ndarray | None) -> np.ndarray:
        """Distance to the nearest image of train, other than that in `rows` where the points are images of train."""
        if rows is None:
            return _nearest(self._train, points, 1)[0][:, 0]
        distance, neighbour = _nearest(self._train, points, min(2, len(self._train)))
        # of an image that train holds twice, the other one may come first
        return np.asarray(np.where(neighbour[:, 0] == rows, distance[:, -1], distance[:, 0]))

    def _pixel_by_pixel(self, ids: np.ndarray) -> np.ndarray:
        """Each pixel is that of some image of train: what knows nothing of how pixels go together."""
        values, seeds = self._images, seeds_of(ids)
        rows = np.random.default_rng(seeds).integers(len(values), size=(len(seeds), *values.shape[1:]))
        return np.take_along_axis(values, rows, axis=0)


def kernel_distances(real: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """Pseudo-values of the squared kernel distance of two samples, float64 [n].

    The measure is the unbiased estimate of the squared maximum mean discrepancy (Gretton et al. 2012, JMLR 13, lemma 6)
    with the polynomial kernel (x·y / coordinates + 1)³ of Bińkowski et al. 2018 (arXiv 1801.01401, section 3.1).

    Args:
        real: [n, coordinates], n at least 2. drawn: as many times that as images are drawn beside an example.
    """
    among_real, among_drawn = _mean_kernel(real, real, others=True), _mean_kernel(drawn, drawn, others=True)
    to_drawn, to_real = _mean_kernel(real, drawn), _mean_kernel(drawn, real)
    total = among_real.mean() + among_drawn.mean() - 2 * to_drawn.mean()
    first_order = 2 * (among_real - to_drawn) + 2 * _by_example(among_drawn - to_real, len(real))
    return np.asarray(total + first_order - first_order.mean())


def within(points: np.ndarray, sample: np.ndarray) -> np.ndarray:
    """1.0 where a point lies nearer to one of `sample` than that one's third nearest neighbour in the sample, else 0.0.

    Kynkäänniemi et al. 2019 (arXiv 1904.06991, equation 1): the mean is precision for drawn points and a real sample,
    recall for real points and a drawn sample.
    """
    from scipy.spatial.distance import cdist

    neighbours = min(NEIGHBOURS, len(sample) - 1)
    radius = _nearest(sample, sample, neighbours + 1)[0][:, -1]
    found = np.zeros(len(points))
    for rows in _blocks(len(points)):
        found[rows] = (cdist(points[rows], sample) <= radius).any(axis=1)
    return found


def closer(real: np.ndarray, real_cell: np.ndarray, drawn: np.ndarray, drawn_cell: np.ndarray) -> np.ndarray:
    """Pseudo-values of how often a drawn image lies closer to train than a real one in the same cell, float64 [n].

    The data-copying test of Meehan, Chaudhuri and Dasgupta 2020 (arXiv 2004.05675, section 3): the probability behind
    the statistic of Mann and Whitney, in cells, as images of one kind lie closer together than those of another; the
    mean over cells is weighted by their real images. 1/2 where drawn images lie as real ones do, 1 for copies. Cells
    with fewer than five of either say nothing. Spread by placements (DeLong et al. 1988).

    Args:
        real: distances to the nearest image of train, other than itself [n]; drawn: the same, several of each example.
        real_cell, drawn_cell: where they lie.
    """
    share = np.full(len(real), np.nan)
    of_drawn = np.zeros(len(drawn))
    for cell in np.unique(real_cell):
        mine, theirs = real_cell == cell, drawn_cell == cell
        if min(mine.sum(), theirs.sum()) < FEWEST_IN_CELL:
            continue
        share[mine] = above(real[mine], drawn[theirs])
        placements = 1 - above(drawn[theirs], real[mine])
        of_drawn[theirs] = (placements - placements.mean()) * mine.sum() / theirs.sum()
    known = ~np.isnan(share)
    if not known.any():
        return np.full(len(real), 0.5)
    mean = share[known].mean()
    scale = len(real) / known.sum()
    of_real = np.where(known, share - mean, 0.0)
    return np.asarray(mean + scale * (of_real + _by_example(of_drawn, len(real)) * len(drawn) / len(real)))


def copied(drawn: np.ndarray, held_out: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Of each held-out image by how much less often it is the nearest to a drawn one than by chance, float64 [n].

    The mean is the share of drawn images that are copies of train: to one that was drawn without knowledge of train,
    any real image is as often the nearest, be it called train or held out, and to a copy never one that is held out
    (compare the nearest-neighbour test of two samples, Schilling 1986). The spread is that over held-out images,
    some of which are the nearest to many drawn ones.

    Args:
        drawn, held_out, train: points [., coordinates].
    """
    to_train, to_held_out = _nearest(train, drawn, 1)[0][:, 0], _nearest(held_out, drawn, 1)
    nearer = (to_held_out[0][:, 0] < to_train) + 0.5 * (to_held_out[0][:, 0] == to_train)
    times = np.bincount(to_held_out[1][:, 0], weights=nearer, minlength=len(held_out))
    return np.asarray(1 - times * (len(train) + len(held_out)) / len(drawn))


def above(scores: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Share of `others` below each of `scores`, those that are equal counted half."""
    ordered = np.sort(others)
    below, up_to = np.searchsorted(ordered, scores, "left"), np.searchsorted(ordered, scores, "right")
    return np.asarray((below + up_to) / (2 * len(others)))


def _by_example(values: np.ndarray, examples: int | None = None) -> np.ndarray:
    """Means over the images that are drawn beside one example."""
    return np.asarray(values.reshape(examples or len(values) // DRAWN_BESIDE, -1).mean(axis=1))


def _pixels(images: np.ndarray) -> np.ndarray:
    return images.reshape(len(images), -1).astype(np.float64) / 255


def _mean_kernel(points: np.ndarray, sample: np.ndarray, others: bool = False) -> np.ndarray:
    """Mean of the kernel of each of `points` with a sample, which where `others` is themselves: with all but itself."""
    means = np.empty(len(points))
    for rows in _blocks(len(points)):
        product = points[rows] @ sample.T / points.shape[1] + 1
        # as a power it would take several times as long
        kernel = product * product * product
        total = kernel.sum(axis=1)
        if others:
            total -= kernel[np.arange(len(kernel)), np.arange(len(points))[rows]]
        means[rows] = total / (len(sample) - others)
    return means


def _nearest(among: np.ndarray, points: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Distances to the `count` nearest of `among`, the nearest first, and which they are; both [n, count]."""
    from scipy.spatial.distance import cdist

    distance, which = np.empty((len(points), count)), np.empty((len(points), count), dtype=np.int64)
    for rows in _blocks(len(points)):
        all_of = cdist(points[rows], among)
        nearest = np.argpartition(all_of, count - 1, axis=1)[:, :count]
        of_nearest = np.take_along_axis(all_of, nearest, axis=1)
        order = np.argsort(of_nearest, axis=1, kind="stable")
        distance[rows] = np.take_along_axis(of_nearest, order, axis=1)
        which[rows] = np.take_along_axis(nearest, order, axis=1)
    return distance, which


def _blocks(n: int) -> Iterator[slice]:
    return (slice(start, start + ROWS) for start in range(0, n, ROWS))
