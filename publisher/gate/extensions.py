"""Which tests are repeated with more samples, and so have to share their alpha with those repetitions.

A `regression` that looks for harm asks for more samples only once it is significant. All its rejections, those after an
extension included, lie in the event that it was significant before: so they spend nothing more, and all of its alpha
belongs to the tier's own samples. One that has to rule harm out asks for more until it does: then it, and whatever else
tests the same suites, has a further chance each time, and the alpha is spread over all of them beforehand.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from publisher.config import AnyRule, Regression
from publisher.config.gate import EVERY, spends_alpha

if TYPE_CHECKING:
    from collections.abc import Sequence

    from publisher.config import Config


def repeated_up_to(rule: AnyRule, suites: Sequence[str], config: Config) -> int:
    """Return up to how many samples per problem a test may be repeated although it was not significant; 0: never."""
    asking = [
        one
        for one in config.gate.rules
        if isinstance(one, Regression) and one.effect == "block" and _asks(one, rule) and _covers(one, suites, config)
    ]
    return max((one.max_samples for one in asking), default=0) if spends_alpha(rule) else 0


def _asks(asking: Regression, rule: AnyRule) -> bool:
    """Return whether a rule may ask for more samples where another one is not significant yet."""
    if asking.prove == "no-harm":
        return True
    # What has to be ruled out is not: so this is tested again with whatever another rule asked for.
    return asking.prove == "harm" and isinstance(rule, Regression) and rule.prove == "no-harm"


def _covers(rule: Regression, suites: Sequence[str], config: Config) -> bool:
    """Return whether more samples for one rule are more samples of some suites."""
    return rule.pooled or rule.suite == EVERY or (rule.suite or config.headline) in suites


def stages(most: int, k: int) -> int:
    """Return how often a run of k samples per problem is tested when it doubles up to `most`."""
    return 1 + max(0, math.ceil(math.log2(most / k)))
