"""How far trainings of one arm lie apart where no earlier run tells: measured on the sample, and shipped with mep."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Spread:
    """
    relative    standard deviation of the metric over trainings of one arm from other seeds, as a share of its mean
    source      where it comes from, in words that go on after "spread between seeds 2.7 %"
    """

    extractor: str
    metric: str
    relative: float
    source: str


SHIPPED = (
    # recipes/claim.yaml of 2026-11-26, five arms of eight trainings, 512 images an arm: KID x 1000 of 555 to 615 on
    # average, standard deviations between trainings of 9 to 20, pooled 16.3 of 595: 2.7 %.
    Spread("efficientnet_lite0", "kid", 0.027, "as on the sample that ships with mep"),
)
