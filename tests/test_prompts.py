from __future__ import annotations

import resource
import signal
import time

import pytest

from publisher.engine.child.prompts import Prompts
from publisher.errors import ModelError

CHATML = """
{%- for message in messages %}
    {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}
"""


def render(chat: str, problem: str = "1+1", *, system: str = "", template: str = "{problem}") -> str:
    """Render one problem."""
    return Prompts(chat, system=system, template=template, bos="<s>", eos="</s>").render(problem)


def test_a_chatml_template_renders_as_published() -> None:
    """System and user turns come out exactly as the model was trained on them."""
    text = render(CHATML, "What is 2?", system="Be brief.", template="{problem} Think.")
    turns = ["system\nBe brief.<|im_end|>\n", "user\nWhat is 2? Think.<|im_end|>\n", "assistant\n"]
    assert text == "".join(f"<|im_start|>{turn}" for turn in turns)


def test_no_system_prompt_means_no_system_turn() -> None:
    """An empty system prompt leaves the turn out instead of sending an empty one."""
    assert render("{% for m in messages %}{{ m.role }} {% endfor %}") == "user "


def test_only_the_problem_is_replaced() -> None:
    """Braces in a prompt or a problem are text, not format fields."""
    text = render("{{ messages[0].content }}", "{0} {x!r} {problem}", template="{problem} in \\boxed{} {other}")
    assert text == "{0} {x!r} {problem} in \\boxed{} {other}"


def test_the_special_tokens_are_known_to_the_template() -> None:
    """A template may write the tokens that begin and end a text."""
    assert render("{{ bos_token }}{{ messages[0].content }}{{ eos_token }}") == "<s>1+1</s>"


def test_loop_controls_and_tojson_work() -> None:
    """Published templates use break, continue and tojson as Hugging Face provides them."""
    assert render("{% for i in range(9) %}{% if i == 2 %}{% break %}{% endif %}{{ i }}{% endfor %}") == "01"
    assert render("{{ {'a': '<é>'} | tojson }}") == '{"a": "<é>"}'


@pytest.mark.parametrize("chat", ["", "  \n"])
def test_a_missing_template_is_an_error(chat: str) -> None:
    """No template is guessed: a model without one is refused."""
    with pytest.raises(ModelError, match="no chat template"):
        render(chat)


@pytest.mark.parametrize(
    ("chat", "message"),
    [
        ("{% for %}", "TemplateSyntaxError"),
        ("{{ raise_exception('no system role') }}", "no system role"),
        ("{{ undefined_function() }}", "UndefinedError"),
        ("{{ strftime_now('%Y') }}", "UndefinedError"),
        ("{% for i in range(10 ** 9) %}{% endfor %}", "OverflowError"),
        ("{{ ''.__class__.__mro__[1].__subclasses__() }}", "SecurityError"),
        ("{{ messages.append(1) }}", "SecurityError"),
        ("{{ cycler.__init__.__globals__.os.system('id') }}", "SecurityError"),
        ("{% include '/etc/passwd' %}", "TypeError"),
        ("{{ 1 // 0 }}", "ZeroDivisionError"),
    ],
)
def test_a_template_that_fails_or_attacks_is_one_error(chat: str, message: str) -> None:
    """Whatever goes wrong inside a template comes out as a ModelError with a hint."""
    with pytest.raises(ModelError, match=message) as caught:
        render(chat)
    assert caught.value.hint


def test_a_template_that_loops_is_stopped() -> None:
    """Nested loops below Jinja's own limit end with the time that is allowed."""
    loop = "{% for a in range(99999) %}" * 3 + "{% endfor %}" * 3
    before = time.process_time()
    with pytest.raises(ModelError, match=r"within 0\.3 seconds"):
        Prompts(loop, system="", template="{problem}", seconds=0.3)
    assert time.process_time() - before < 3


def test_a_template_that_eats_memory_is_stopped() -> None:
    """A giant string is rejected before it exists."""
    with pytest.raises(ModelError, match="too much memory"):
        render("{{ 'a' * 10 ** 10 }}")


def test_limits_are_taken_back() -> None:
    """After rendering, the alarm is off and memory is as unlimited as before."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    render("x")
    assert resource.getrlimit(resource.RLIMIT_AS) == before
    assert [signal.getitimer(one) for one in (signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)] == [(0.0, 0.0)] * 2
