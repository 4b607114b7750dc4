"""What to say about a prompt before it is measured: no system prompt, or another language than was asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from publisher.config import Config


def remarks(config: Config, language: Callable[[str], str]) -> Iterator[str]:
    """Yield a remark for each thing that looks wrong; `language` tells the language of a text, "" for none.

    Many models answer worse without a system prompt: training had one. Which language counts is the model card's
    word, and else that of the suites that ask for one.
    """
    prompt = config.prompt
    if not prompt.system.strip():
        yield "the system prompt is empty: does the model's card ask for one?"
    asked = {f"suites.{name}": suite.language for name, suite in config.suites.items() if suite.language}
    if config.model.card.language:
        asked = {"model.card": config.model.card.language}
    if not asked:
        return
    for what, text in (("system prompt", prompt.system), ("template", prompt.template.replace("{problem}", " "))):
        found = language(text)
        for where, wanted in asked.items():
            if found and found != wanted:
                yield f"the {what} reads like the language {found}, but {where} asks for {wanted}"
