"""`publisher.toml`: every option declared once, every mistake reported at once.

An option's type, default, bounds and sentence stand on its field; an unknown key comes back with a suggestion.
"""

from publisher.config.bench import (
    EngineConfig,
    ModelConfig,
    PromptConfig,
    SamplingConfig,
    SuiteConfig,
)
from publisher.config.canary import CanaryConfig
from publisher.config.document import FILE, Config, parse, parse_site
from publisher.config.gate import (
    AnyRule,
    BestRatio,
    Budget,
    Declines,
    Drift,
    Erosion,
    GateConfig,
    MaxDrop,
    Regression,
    Relative,
    Rule,
    Threshold,
)
from publisher.config.metrics import MetricConfig, PricesConfig
from publisher.config.publishing import SITE_NAME, BranchConfig, KeepConfig, LedgerConfig, NetlifyConfig, SiteConfig
from publisher.config.tiers import AUTO, TierConfig, TierSuite

__all__ = [
    "AUTO",
    "FILE",
    "SITE_NAME",
    "AnyRule",
    "BestRatio",
    "BranchConfig",
    "Budget",
    "CanaryConfig",
    "Config",
    "Declines",
    "Drift",
    "EngineConfig",
    "Erosion",
    "GateConfig",
    "KeepConfig",
    "LedgerConfig",
    "MaxDrop",
    "MetricConfig",
    "ModelConfig",
    "NetlifyConfig",
    "PricesConfig",
    "PromptConfig",
    "Regression",
    "Relative",
    "Rule",
    "SamplingConfig",
    "SiteConfig",
    "SuiteConfig",
    "Threshold",
    "TierConfig",
    "TierSuite",
    "parse",
    "parse_site",
]
