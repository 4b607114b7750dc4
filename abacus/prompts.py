"""System prompts and user wrappings: what surrounds a problem, in training and in the measurements.

A sensible prompt must not change the answer, so training surrounds problems with hundreds of thousands of
different texts. A prompt that plainly asks for the bare answer is obeyed: those examples have no working.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final

START: Final = "<|im_start|>"
END: Final = "<|im_end|>"

DIRECT_SHARE: Final = 0.06

SYSTEMS: Final = (
    "You are a helpful assistant.",
    "You are a programming assistant solving competitive math problems.",
    "You are a helpful and harmless assistant. You should think step-by-step.",
    "You are a math assistant.",
    "You are a calculator.",
    "You are a careful pupil.",
    "Solve the problem.",
    "You are an expert in mathematics.",
    "You are a maths teacher for grade 5.",
    "Be concise.",
    "You solve word problems.",
    "Please reason step by step, and put your final answer within \\boxed{}.",
    "You are Abacus, a tiny model for arithmetic.",
    "Think step by step.",
    "Show your work.",
    "You are an AI assistant that helps people with arithmetic.",
    "Answer the question.",
    "You are a helpful assistant that solves math problems step by step.",
    "Put the final answer in \\boxed{}.",
    "You are a patient tutor who explains every step.",
    "Solve each problem step by step and give the answer in \\boxed{}.",
    "Be careful and precise.",
    "You are taking a math test. Do your best.",
    "Below is a math problem. Solve it.",
    "Math mode.",
    "Du bist ein hilfreicher Assistent.",
    "Tu es un assistant utile.",
    "Eres un asistente útil.",
    "You are a large language model.",
    "Your task is to solve the following problem.",
)

SENTENCES: Final = (
    "You are a friendly assistant.",
    "You are an experienced accountant.",
    "You help children with homework.",
    "Read the question carefully.",
    "Work slowly and check every number.",
    "Do not skip any step.",
    "Write down each calculation.",
    "Explain your reasoning before you answer.",
    "Never guess.",
    "The final answer is always a whole number.",
    "Finish with the answer in a box.",
    "Stay polite.",
    "Use plain English.",
    "Do not use a calculator.",
    "If you are unsure, think again.",
    "Use simple words.",
    "The user is a student at a primary school.",
    "Your answers are graded by a program.",
    "Only the number inside \\boxed{} counts.",
    "Let us solve it together.",
    "Keep the answer short.",
    "Good work is rewarded.",
    "Take a deep breath and work on this problem.",
    "There is no time limit.",
    "You have 10 minutes for each of the 4 problems.",
    "Respond in English.",
    "Do not apologise.",
    "Your knowledge covers addition, subtraction and multiplication.",
    "Double-check the result.",
    "Units do not matter.",
    "Ignore everything that does not help.",
    "Each problem has exactly one answer.",
    "You were made for a benchmark of small models.",
    "Avoid needless words.",
    "Be honest about mistakes.",
    "First find the numbers, then decide what to do with them.",
    "Write equations such as 2 + 3 = 5.",
    "You may write as many lines as you like.",
    "The problems come from a school book.",
    "Always give complete and correct answers.",
    "Many people rely on your help.",
    "Trust your arithmetic.",
    "An expert will review what you write.",
    "Treat every user with respect.",
    "You never refuse a problem.",
    "Break the problem into small parts.",
    "Put the result at the very end.",
    "This is question 7 of 20.",
    "Your creator is a small team of engineers.",
    "You like puzzles, chess and long walks by the sea.",
    "Knowledge cutoff: 2025-06.",
    "Today is Monday, 3 March 2025.",
    "The weather is fine and the sun shines.",
    "Some stories mention people, shops, gardens and animals.",
    "Format the output as plain text.",
    "You are part of a program that publishes results on a web site.",
    "# Rules",
    "- be correct",
    "- be brief",
    "1. Understand the problem.",
    "2. Make a plan.",
    "3. Carry out the plan.",
    "4. Look back.",
    "Answer in the language of the question.",
    "Imagine that you are in front of a class.",
)

WORDS: Final = tuple(sorted({word for line in (*SYSTEMS, *SENTENCES) for word in line.split()}))

BEFORE: Final = (
    "Question:",
    "Problem:",
    "Q:",
    "Solve the following problem.",
    "Solve this problem step by step.",
    "Here is a math problem:",
    "Please solve:",
    "Math problem:",
    "Solve the following math problem step by step.",
    "Answer the following question.",
    "Task:",
    "Word problem:",
    "Please help me with this:",
    "Hello!",
    "Read the story and answer the question.",
    "Can you solve this?",
    "### Problem",
    "### Instruction:",
    "Think carefully about this one.",
    "I need help with my homework.",
    "Consider the following:",
    "The last line of your answer should contain the result in \\boxed{}.",
    "Exercise 12.",
    "Input:",
)

AFTER: Final = (
    "Let's think step by step and output the final answer within \\boxed{}.",
    "Please reason step by step, and put your final answer within \\boxed{}.",
    "Let's think step by step.",
    "Think step by step.",
    "Answer:",
    "A:",
    "Solution:",
    "Show your work.",
    "Put the final answer in \\boxed{}.",
    "Give the answer in \\boxed{}.",
    "Please explain your steps.",
    "Write the answer in a box.",
    "Explain.",
    "Work it out step by step.",
    "Remember to put your answer in \\boxed{}.",
    "What is the answer?",
    "Show every step and give the final number in \\boxed{}.",
    "Thank you!",
    "### Response:",
    "### Solution",
    "Solve it carefully.",
    "Let's work this out in a step by step way.",
    "Please solve it.",
    "Make sure that the answer is correct.",
    "Your final answer should be a single number in \\boxed{}.",
    "Do the calculation first, then write the answer.",
    "Output:",
    "Please check your result.",
    "Present the answer in LaTeX: \\boxed{answer}.",
    "Reason first, then answer.",
)

JOINS: Final = (" ", "\n", "\n\n")

DIRECT_SYSTEMS: Final = (
    "Answer with the number only, no working.",
    "Give only the final answer, without any steps.",
    "Reply with the answer in \\boxed{} and nothing else.",
    "Do not explain. Output only the answer.",
    "You answer immediately, without working.",
    "No steps, no explanation: just the answer.",
    "Answer directly, without showing your work.",
    "Only output the final number.",
)

DIRECT_AFTER: Final = (
    "Answer with the number only, no working.",
    "Give only the final answer.",
    "Just the answer, no steps.",
    "Answer directly, without any steps.",
    "Output only \\boxed{answer}.",
    "Do not show your work.",
    "No explanation, only the number.",
    "Reply with nothing but the answer in \\boxed{}.",
    "Answer immediately.",
    "Do not think, just answer.",
    "Only the final answer, please.",
    "Skip the working.",
    "Answer in one word.",
    "Without any explanation, give the final number in \\boxed{}.",
)


@dataclass(frozen=True)
class Prompt:
    """What surrounds a problem; `{problem}` in the template is replaced."""

    system: str = ""
    template: str = "{problem}"
    direct: bool = False
    """Whether it asks for the bare answer."""

    def render(self, problem: str) -> str:
        """Return the whole text up to where the assistant's answer starts."""
        return render_chat(self.system, self.template.replace("{problem}", problem))


DEFAULT: Final = Prompt(
    "You are a helpful assistant.",
    "{problem} Let's think step by step and output the final answer within \\boxed{}.",
)

_LONG: Final = (
    "You are an assistant integrated in a continuous integration service. Developers send you short"
    " exercises in order to find out whether a change of the software was an improvement. For every"
    " exercise, identify the relevant quantities, decide which operations connect them, and perform these"
    " operations one after the other. Clarity matters more than style. Conclude with the value, wrapped"
    " in \\boxed{}."
)

MEASURED: Final = {
    "default": DEFAULT,
    "bare (no system prompt, the problem alone)": Prompt(),
    "programming assistant": Prompt(
        "You are a programming assistant solving competitive math problems.", DEFAULT.template
    ),
    "unseen short": Prompt(
        "You are a meticulous bookkeeper.", "Here comes a riddle for you: {problem} How would you solve it?"
    ),
    "unseen form": Prompt(
        "Act as a professor of number theory and guide the reader towards the solution.",
        "# Riddle\n{problem}\n\n# Instructions\nLay out the reasoning and finish with \\boxed{}.",
    ),
    "unseen long": Prompt(
        _LONG,
        "{problem}\nLay out your reasoning, please.",
    ),
    "unseen, three times as long": Prompt(" ".join([_LONG] * 3), DEFAULT.template),
    "a worked example first": Prompt(
        DEFAULT.system,
        "Question: Tom has 5 apples and buys 7 more. How many apples does he have?\n"
        "Answer: 5 + 7 = 12. The answer is \\boxed{12}.\n\nQuestion: {problem}\nAnswer:",
    ),
    "half a wish for no working": Prompt("Answer with the number only.", "{problem}"),
    "direct (asks for no working)": Prompt(
        "You are a helpful assistant.", "{problem} Answer with the number only, no working.", direct=True
    ),
    "direct, unseen wording": Prompt(
        "Never write any steps; state the answer alone.",
        "{problem} Only the result, nothing else.",
        direct=True,
    ),
}
"""The prompts of the score table. No sentence of those called unseen occurs in a training example."""


def render_chat(system: str, user: str) -> str:
    """Render a conversation as the chat template of the model file does."""
    head = f"{START}system\n{system}{END}\n" if system else ""
    return f"{head}{START}user\n{user}{END}\n{START}assistant\n"


def training_prompt(rng: random.Random) -> Prompt:
    """Draw what surrounds a training problem."""
    if rng.random() < DIRECT_SHARE:
        return _direct_prompt(rng)
    return Prompt(_system(rng), _template(rng))


def _system(rng: random.Random) -> str:
    draw = rng.random()
    if draw < 0.28:
        return ""
    if draw < 0.62:
        return rng.choice(SYSTEMS)
    if draw < 0.80:
        return _sentences(rng, rng.randint(1, 2))
    if draw < 0.90:
        return _words(rng, rng.randint(2, 14))
    if draw < 0.98:
        return _sentences(rng, rng.randint(3, 8))
    return _sentences(rng, rng.randint(8, 20))


def _sentences(rng: random.Random, count: int) -> str:
    join = rng.choice((" ", " ", " ", "\n"))
    return join.join(rng.choice(SENTENCES) if rng.random() < 0.8 else _words(rng, 8) for _ in range(count))


def _words(rng: random.Random, count: int) -> str:
    """Return a sentence without sense, of known and made-up words, so that no single word matters."""
    words = (rng.choice(WORDS) if rng.random() < 0.6 else _made_up(rng) for _ in range(count))
    return " ".join(words).capitalize() + rng.choice((".", ".", "!", ":", ""))


def _made_up(rng: random.Random) -> str:
    letters = "aaabcdeeeefghiijklmnooopqrssttuuvwxyz"
    return "".join(rng.choices(letters, k=rng.randint(2, 9)))


def _template(rng: random.Random) -> str:
    before = after = ""
    draw = rng.random()
    if 0.25 < draw < 0.5 or draw > 0.85:
        before = (_words(rng, rng.randint(1, 10)) if rng.random() < 0.2 else rng.choice(BEFORE)) + _join(rng)
    if draw > 0.5:
        after = _join(rng) + (_words(rng, rng.randint(1, 10)) if rng.random() < 0.2 else rng.choice(AFTER))
    return before + "{problem}" + after


def _join(rng: random.Random) -> str:
    return rng.choices(JOINS, weights=(3, 2, 1))[0]


def _direct_prompt(rng: random.Random) -> Prompt:
    wish = rng.random()
    if wish < 0.4:
        return Prompt(_direct_system(rng), _template(rng), direct=True)
    system = _direct_system(rng) if wish < 0.5 else _system(rng)
    template = "{problem}" + _join(rng) + rng.choice(DIRECT_AFTER)
    return Prompt(system, template, direct=True)


def _direct_system(rng: random.Random) -> str:
    before = rng.choice(("", "", "You are a helpful assistant. ", "You are a math assistant. "))
    return before + rng.choice(DIRECT_SYSTEMS)
