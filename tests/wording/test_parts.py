from harness.wording.parts import Part, plain_text


def test_plain_text_drops_the_emphasis() -> None:
    assert plain_text((Part("It is "), Part("better", "strong"), Part("."))) == "It is better."
    assert plain_text(()) == ""
