from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from harness.models.tree import LARGE, Group, Request, Unit, plan_rows, plan_tree, tree_tokens

TOKENS = st.lists(st.integers(0, 2), max_size=30).map(tuple)
REQUESTS = st.lists(
    st.builds(
        lambda prompt, first, rest: Request((*prompt, first), rest),
        TOKENS,
        st.integers(0, 2),
        st.lists(st.integers(0, 2), min_size=1, max_size=6).map(tuple),
    ),
    max_size=12,
)


def prefix_of(groups: list[Group], index: int) -> tuple[int, ...]:
    group = groups[index]
    before = () if group.parent is None else prefix_of(groups, group.parent)
    return (*before, *group.tokens)


def path_to(unit: Unit, position: int) -> tuple[int, ...]:
    """The tokens that the token at a position sees in its unit, itself included."""
    if position < len(unit.trunk):
        return unit.trunk[: position + 1]
    column = position - len(unit.trunk)
    parent = unit.parents[column]
    before = unit.trunk if parent < 0 else path_to(unit, len(unit.trunk) + parent)
    return (*before, unit.branches[column])


@settings(max_examples=300)
@given(REQUESTS)
def test_every_token_is_predicted_from_exactly_what_stands_before_it(requests: list[Request]) -> None:
    groups = plan_tree(requests)
    seen = []
    for number, group in enumerate(groups):
        assert group.parent is None or group.parent < number
        prefix = prefix_of(groups, number)
        for unit in group.units:
            for place in unit.places:
                request = requests[place.request]
                assert place.continuation == request.continuation
                for nth, position in enumerate(place.positions):
                    before = (*request.prompt, *request.continuation[:nth])
                    assert prefix + path_to(unit, position) == before
                seen.append(place.request)
    assert sorted(seen) == list(range(len(requests)))


@given(REQUESTS)
def test_depths_count_the_tokens_before(requests: list[Request]) -> None:
    for group in plan_tree(requests):
        for unit in group.units:
            assert unit.depths == [len(path_to(unit, i)) - 1 for i in range(len(unit))]


def question(number: int, length: int = 30) -> tuple[int, ...]:
    return tuple(1000 * (number + 1) + i for i in range(length))


SHOTS = tuple(range(200))


def test_few_shots_are_run_once_and_each_question_once() -> None:
    # 5 questions of 30 tokens, 4 answers of 3 tokens, 200 shared; the answers' last tokens predict nothing
    answers = [(7, 90 + i, 80 + i) for i in range(4)]
    requests = [Request(SHOTS + question(q), answer) for q in range(5) for answer in answers]
    groups = plan_tree(requests)
    assert [(group.parent, len(group.tokens), len(group.units)) for group in groups] == [
        (None, 0, 0),
        (0, 200, 5),
    ]
    # the answers share their first token: 1 + 4 tokens of branches for each question
    assert tree_tokens(groups) == 200 + 5 * (30 + 1 + 4)


def test_one_letter_answers_need_no_branches() -> None:
    requests = [Request(SHOTS + question(q), (letter,)) for q in range(3) for letter in range(4)]
    groups = plan_tree(requests)
    assert all(unit.branches == () for group in groups for unit in group.units)
    assert tree_tokens(groups) == 200 + 3 * 30


def test_shots_of_two_tasks_become_two_prefixes_below_a_shared_one() -> None:
    shared = tuple(range(500, 520))
    requests = [
        Request((*shared, *question(90 + task, 50), *question(q)), (1,))
        for task in range(2)
        for q in range(4)
    ]
    groups = plan_tree(requests)
    assert [(group.parent, len(group.tokens), len(group.units)) for group in groups] == [
        (None, 0, 0),
        (0, 20, 0),
        (1, 50, 4),
        (1, 50, 4),
    ]


def test_a_prefix_ends_before_the_first_token_that_predicts_something() -> None:
    # everything shares the whole prompt: its last token predicts, so it stands in a unit
    requests = [Request(SHOTS, (300 + i, *question(i, 200))) for i in range(3)]
    groups = plan_tree(requests)
    assert [len(group.tokens) for group in groups] == [0, 199]
    assert all(unit.trunk[0] == 199 for unit in groups[1].units)


def test_answers_too_long_for_one_row_get_rows_of_their_own() -> None:
    answer = tuple(range(LARGE // 2))
    requests = [Request((5,), (9000 + i, *answer)) for i in range(4)]
    units = [unit for group in plan_tree(requests) for unit in group.units]
    assert len(units) == 4


def test_equal_requests_share_their_tokens() -> None:
    requests = [Request((1, 2, 3), (4, 5))] * 3
    (group,) = plan_tree(requests)
    (unit,) = group.units
    assert (unit.trunk, len(unit.places)) == ((1, 2, 3, 4), 3)


def test_nothing_asked_nothing_planned() -> None:
    assert plan_tree([]) == []
    assert plan_rows([], 10) == []


@given(REQUESTS, st.integers(1, 200))
def test_rows_hold_every_unit_once_and_keep_to_the_budget(requests: list[Request], budget: int) -> None:
    units = [unit for group in plan_tree(requests) for unit in group.units]
    batches = plan_rows(units, budget)
    assert sorted(index for batch in batches for index in batch) == list(range(len(units)))
    for batch in batches:
        assert len(batch) == 1 or sum(len(units[i]) for i in batch) <= budget
