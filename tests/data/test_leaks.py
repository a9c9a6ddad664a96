from harness.data.leaks import find_leaks
from harness.records import Sample

TRAIN = [
    Sample("a", "What is a verdict?", "x"),
    Sample("b", "How do I improve the outputs of my model using criteria in this package?", "x"),
    Sample("c", "what is a  VERDICT?", "y"),
    Sample("d", "Where does the cache live?", "z"),
]


def test_equal_and_nearly_equal_questions_are_leaks_whatever_the_answer() -> None:
    test = [
        Sample("t1", "Who wrote sacreBLEU?", "x"),
        Sample("t2", "What is a verdict?", "another answer"),
        Sample("t3", "How do I improve the outputs of my model using criteria in this package now?", "x"),
        Sample("t4", "Where does the store live on a server with two disks?", "z"),
    ]
    assert find_leaks(test, TRAIN) == (("t2", "a"), ("t3", "b"))


def test_a_looser_threshold_finds_more() -> None:
    test = [Sample("t", "Where does the cache folder live?", "z")]
    assert find_leaks(test, TRAIN) == ()
    assert find_leaks(test, TRAIN, threshold=0.4) == (("t", "d"),)


def test_plain_text_leaks_by_its_text() -> None:
    assert find_leaks([Sample("t", "", "Same text.")], [Sample("a", "", "same  text.")]) == (("t", "a"),)


def test_nothing_to_compare() -> None:
    assert find_leaks([], TRAIN) == ()
    assert find_leaks(TRAIN, []) == ()
