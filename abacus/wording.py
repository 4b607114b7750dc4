"""The words that the problem generator puts its numbers into; no arithmetic happens here."""

from __future__ import annotations

from typing import Final

NAMES: Final = (
    ("Mia", "she"),
    ("Leo", "he"),
    ("Anna", "she"),
    ("Tom", "he"),
    ("Sara", "she"),
    ("Ben", "he"),
    ("Nora", "she"),
    ("Ali", "he"),
    ("Julia", "she"),
    ("Omar", "he"),
    ("Lena", "she"),
    ("Max", "he"),
    ("Ines", "she"),
    ("Paul", "he"),
    ("Rosa", "she"),
    ("Ivan", "he"),
    ("Kim", "she"),
    ("Noah", "he"),
    ("Maria", "she"),
    ("David", "he"),
    ("Emma", "she"),
    ("Lucas", "he"),
    ("Priya", "she"),
    ("Jack", "he"),
    ("Chloe", "she"),
    ("Hugo", "he"),
    ("Mrs. Green", "she"),
    ("Mr. Brown", "he"),
    ("the teacher", "she"),
    ("the baker", "he"),
    ("the farmer", "he"),
    ("my sister", "she"),
    ("my uncle", "he"),
    ("Zoe", "she"),
)

THINGS: Final = (
    "apples",
    "pears",
    "stamps",
    "coins",
    "books",
    "marbles",
    "pencils",
    "stickers",
    "cards",
    "shells",
    "cookies",
    "eggs",
    "balloons",
    "buttons",
    "beads",
    "plums",
    "candies",
    "pens",
    "toys",
    "photos",
    "oranges",
    "nuts",
    "cups",
    "flowers",
    "stones",
    "tickets",
    "lemons",
    "bottles",
    "notebooks",
    "muffins",
)

PLACES: Final = (
    "in the shop",
    "in the library",
    "in the garden",
    "on the table",
    "in the kitchen",
    "at school",
    "in the box",
    "in the basket",
    "at the market",
    "on the shelf",
    "in the store",
    "on the farm",
)

HOLDERS: Final = (
    ("box", "boxes"),
    ("bag", "bags"),
    ("basket", "baskets"),
    ("jar", "jars"),
    ("shelf", "shelves"),
    ("row", "rows"),
    ("crate", "crates"),
    ("packet", "packets"),
    ("drawer", "drawers"),
    ("tray", "trays"),
)

# Each form of a story keeps one grammatical person, so that any start, change and question fit together.
# {n} the person, {p} the pronoun, {m} someone else, {o} the things, {w} where, {x} the number.

PERSON_STARTS: Final = (
    "{n} has {x} {o}.",
    "{n} had {x} {o}.",
    "{n} starts with {x} {o}.",
    "{n} owns {x} {o}.",
    "{n} keeps {x} {o} {w}.",
    "{n} had {x} {o} {w}.",
    "{n} collected {x} {o}.",
    "{n} bought {x} {o}.",
    "Yesterday {n} had {x} {o}.",
    "On Monday {n} counted {x} {o}.",
    "{n} started the day with {x} {o}.",
)
PERSON_GAINS: Final = (
    "{p} gets {x} more.",
    "{p} got {x} more {o}.",
    "{p} buys {x} more {o}.",
    "{p} bought another {x}.",
    "{m} gives {n} {x} more.",
    "{m} gave {n} {x} {o}.",
    "Then {p} finds {x} more.",
    "Then {p} found {x} {o}.",
    "{p} receives {x} {o} from {m}.",
    "Later {p} won {x} more.",
    "{p} adds {x} {o}.",
    "Then {p} picked {x} more.",
    "After that {m} brought {x} more {o}.",
)
PERSON_LOSSES: Final = (
    "{p} gives {x} away.",
    "{p} gave {x} {o} to {m}.",
    "{p} loses {x} of them.",
    "{p} lost {x} {o}.",
    "Then {p} sells {x}.",
    "Then {p} sold {x} {o}.",
    "{p} uses {x} of them.",
    "{p} used {x} {o}.",
    "{m} takes {x} of them.",
    "{m} took {x} {o}.",
    "Later {p} broke {x}.",
    "{p} threw {x} away.",
    "After that {p} sent {x} {o} to {m}.",
)
PERSON_QUESTIONS: Final = (
    "How many {o} does {n} have now?",
    "How many {o} does {p} have?",
    "How many {o} did {n} have in the end?",
    "How many {o} are there now?",
    "What number of {o} does {n} have now?",
    "How many does {n} have now?",
    "Find how many {o} {n} has now.",
    "How many {o} does {p} have at the end?",
)
PLACE_STARTS: Final = (
    "There are {x} {o} {w}.",
    "There were {x} {o} {w}.",
    "{x} {o} are {w}.",
    "In the morning there were {x} {o} {w}.",
)
PLACE_GAINS: Final = (
    "{n} puts {x} more there.",
    "{n} added {x} {o}.",
    "Then {x} more {o} are brought in.",
    "{x} more arrive.",
    "Then {x} {o} were added.",
    "{n} brings {x} more.",
)
PLACE_LOSSES: Final = (
    "{n} takes {x} of them.",
    "{n} took {x} {o} away.",
    "Then {x} {o} are sold.",
    "{x} of them are removed.",
    "Then {x} {o} were taken out.",
    "{n} removes {x}.",
)
PLACE_QUESTIONS: Final = (
    "How many {o} are there now?",
    "How many {o} are left?",
    "How many {o} are {w} now?",
    "How many are there in the end?",
    "What is the number of {o} now?",
)

# Whole problems with two numbers, {x} and {y}, in the order of the operation.

WHOLE_ADDS: Final = (
    "{n} has {x} {o} and {m} has {y} {o}. How many {o} do they have together?",
    "{n} has {x} {o}. {m} has {y} more than {n}. How many {o} does {m} have?",
    "{n} picked {x} {o} on Monday and {y} on Tuesday. How many {o} did {p} pick in all?",
    "There are {x} red {o} and {y} blue {o}. How many {o} are there in total?",
    "One {c} holds {x} {o} and another holds {y}. What is the total number of {o}?",
    "{n} paid {x} dollars for the {o} and {y} dollars for a bag. How much did {p} pay in total?",
    "How many {o} are {x} {o} and {y} {o}?",
)
BARE_ADDS: Final = (
    "What is {x} + {y}?",
    "Compute {x} + {y}.",
    "What is {x} plus {y}?",
    "Add {x} and {y}.",
    "Find the sum of {x} and {y}.",
    "{x} + {y} = ?",
    "Calculate {x} plus {y}.",
)
WHOLE_SUBTRACTS: Final = (
    "{n} has {x} {o} and {m} has {y} {o}. How many more {o} does {n} have?",
    "{n} has {x} {o}. {m} has {y} fewer. How many {o} does {m} have?",
    "There are {x} {o} in all. {y} of them are red. How many are not red?",
    "A book has {x} pages. {n} has read {y} pages. How many pages are left?",
    "{n} needs {x} dollars and has {y} dollars. How many dollars are missing?",
    "Of {x} {o}, {y} are sold. How many {o} are left?",
    "{n} wants {x} {o} and has {y}. How many more does {p} need?",
)
BARE_SUBTRACTS: Final = (
    "What is {x} - {y}?",
    "Compute {x} - {y}.",
    "What is {x} minus {y}?",
    "Take {y} away from {x}.",
    "Subtract {y} from {x}.",
    "{x} - {y} = ?",
    "Calculate {x} minus {y}.",
    "Find the difference between {x} and {y}.",
)

# {x} is in each of {y}.

WHOLE_MULTIPLIES: Final = (
    "{n} has {y} {cs} with {x} {o} in each. How many {o} does {p} have?",
    "There are {y} {cs}. Each {c} holds {x} {o}. How many {o} are there in total?",
    "Each {c} holds {x} {o}. How many {o} are in {y} {cs}?",
    "A {c} of {o} costs {x} dollars. How much do {y} {cs} cost?",
    "{n} reads {x} pages a day. How many pages does {p} read in {y} days?",
    "{n} fills {y} {cs} and puts {x} {o} in each one. How many {o} is that?",
    "Every day {n} sells {x} {o}. How many {o} does {p} sell in {y} days?",
    "{y} children get {x} {o} each. How many {o} do they get in all?",
    "One ticket costs {x} dollars. {n} buys {y} tickets. How much does {p} pay?",
    "{n} packed {y} {cs} with {x} {o} each. What is the total number of {o}?",
)
BARE_MULTIPLIES: Final = (
    "What is {x} * {y}?",
    "Compute {x} * {y}.",
    "What is {x} times {y}?",
    "Multiply {x} by {y}.",
    "Find the product of {x} and {y}.",
    "What is {y} times {x}?",
    "Calculate {x} times {y}.",
    "{x} * {y} = ?",
)

# Starts of a two-step story that need a product first.

PRODUCT_STARTS: Final = (
    "{n} has {y} {cs} with {x} {o} in each.",
    "{n} buys {y} {cs} with {x} {o} each.",
    "{n} had {y} {cs} of {x} {o} each.",
    "{n} filled {y} {cs} with {x} {o} each.",
)
BARE_TWO_STEPS: Final = (
    "What is {e}?",
    "Compute {e}.",
    "Calculate {e}.",
    "{e} = ?",
    "Find the value of {e}.",
)
