from harness.data.groups import question_groups
from harness.records import Sample

OTHERS = [
    Sample("row-90", "Which command converts the weights?", "merge"),
    Sample("row-91", "Where does the cache live?", "In the home folder."),
    Sample("row-92", "Who wrote sacreBLEU?", "Matt Post."),
]


def groups(*samples: Sample) -> list[int]:
    return list(question_groups([*samples, *OTHERS]))[: len(samples)]


def test_the_same_question_with_other_answers_is_one_group() -> None:
    assert groups(Sample("1", "Is it free?", "Yes."), Sample("2", "is it  FREE?", "No, never.")) == [0, 0]


def test_alike_questions_are_one_group_and_groups_are_closed() -> None:
    first = "How can I integrate the harness into my software development workflow?"
    second = "How can I integrate the harness into my existing software development workflow?"
    third = "How can I integrate the harness into my existing workflow?"
    assert groups(Sample("1", first, "a"), Sample("2", "What is ROUGE?", "b"), Sample("3", second, "c")) == [
        0,
        1,
        0,
    ]
    assert groups(Sample("1", first, "a"), Sample("2", third, "b"), Sample("3", second, "c")) == [0, 0, 0]


def test_unlike_questions_with_one_long_answer_are_one_group() -> None:
    answer = " ".join(f"word{number}" for number in range(30))
    assert groups(Sample("1", "Is it free?", answer), Sample("2", "Must I pay", answer)) == [0, 0]


def test_one_template_over_many_things_is_not_one_group() -> None:
    names = [
        "France",
        "Spain",
        "Chad",
        "Peru",
        "Togo",
        "Cuba",
        "Mali",
        "Oman",
        "Laos",
        "Fiji",
        "Iran",
        "Iraq",
    ]
    samples = [Sample(name, f"What is the capital of {name}?", f"{name}ville") for name in names]
    assert question_groups(samples) == tuple(range(len(names)))


def test_variants_that_make_up_most_of_the_data_are_one_group() -> None:
    endings = ("today", "now", "soon", "please", "again", "quickly")
    start = "How can I integrate the harness into my existing software development workflow at work"
    samples = [Sample(ending, f"{start} {ending}", ending) for ending in endings]
    assert question_groups(samples) == (0,) * 6


def test_plain_text_is_grouped_by_its_text() -> None:
    text = "The store keeps every response under the digest of weights and prompt"
    assert groups(Sample("1", "", text), Sample("2", "", f"{text} tokens"), Sample("3", "", "Else.")) == [
        0,
        0,
        2,
    ]


def test_no_samples_no_groups() -> None:
    assert question_groups([]) == ()
