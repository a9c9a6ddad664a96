import pytest

from harness.data.templates import TEMPLATES, BadTemplate, JinjaTemplate, PromptTemplate, get_template
from harness.exceptions import UnknownName
from harness.records import Message, Sample

PLAIN = Sample("1", "Name a colour.", "Blue.")
PAIRED = Sample("2", "Sum up.", "Short.", context="Long text.", metadata={"topic": "t"})
TURNS = (Message("system", "Be brief."), Message("user", "Hi"), Message("assistant", "Hello"))
TALK = Sample("3", "And now?", "Bye.", history=TURNS)
TEXT = Sample("4", "", "Only text.", history=(Message("system", "s"),))


def test_chat_gives_history_and_one_user_turn() -> None:
    chat = get_template("chat")
    assert chat.prompt(PLAIN) == (Message("user", "Name a colour."),)
    assert chat.prompt(PAIRED) == (Message("user", "Sum up.\n\nLong text."),)
    assert chat.prompt(TALK) == (*TURNS, Message("user", "And now?"))
    assert chat.stop == ()


def test_alpaca_has_the_published_wording() -> None:
    # PROMPT_DICT in train.py of github.com/tatsu-lab/stanford_alpaca
    with_input = (
        "Below is an instruction that describes a task, paired with an input that provides further context. "
        "Write a response that appropriately completes the request.\n\n"
        "### Instruction:\n{instruction}\n\n### Input:\n{input}\n\n### Response:"
    )
    without_input = (
        "Below is an instruction that describes a task. "
        "Write a response that appropriately completes the request.\n\n"
        "### Instruction:\n{instruction}\n\n### Response:"
    )
    alpaca = get_template("alpaca")
    assert alpaca.prompt(PLAIN) == without_input.format(instruction="Name a colour.")
    assert alpaca.prompt(PAIRED) == with_input.format(instruction="Sum up.", input="Long text.")
    assert alpaca.stop == ("\n### ",)


def test_question_answer_and_plain() -> None:
    headed = get_template("question_answer")
    assert headed.prompt(PLAIN) == "### Question:\nName a colour.\n\n### Answer:\n"
    assert headed.prompt(PAIRED) == "### Question:\nSum up.\n\nLong text.\n\n### Answer:\n"
    assert headed.stop == ("\n### ",)
    assert get_template("plain").prompt(PAIRED) == "Sum up.\n\nLong text.\n"
    assert get_template("plain").prompt(PLAIN) == "Name a colour.\n"


def test_text_templates_keep_earlier_turns() -> None:
    talk = "system: Be brief.\n\nuser: Hi\n\nassistant: Hello\n\nAnd now?"
    assert get_template("plain").prompt(TALK) == f"{talk}\n"
    assert get_template("question_answer").prompt(TALK) == f"### Question:\n{talk}\n\n### Answer:\n"
    assert f"### Instruction:\n{talk}\n\n### Response:" in get_template("alpaca").prompt(TALK)


@pytest.mark.parametrize("template", [*TEMPLATES, JinjaTemplate("{{ input }}")], ids=lambda t: t.name)
def test_every_template_gives_the_target_and_leaves_plain_text_without_prompt(
    template: PromptTemplate,
) -> None:
    assert isinstance(template, PromptTemplate)
    assert template.completion(PLAIN) == "Blue."
    assert template.completion(Sample("5", "q")) == ""
    assert template.prompt(TEXT) == ""
    assert template.signature.startswith(template.name)


def test_own_jinja_sees_the_sample() -> None:
    template = get_template(
        "{% for turn in history %}<{{ turn.role }}>{{ turn.content }}{% endfor %}{{ input }}|{{ context }}"
        "|{{ metadata.get('topic', '-') }}|{{ range(2) | list }}\n"
    )
    assert template.prompt(PAIRED) == "Sum up.|Long text.|t|[0, 1]\n"
    assert template.prompt(TALK) == "<system>Be brief.<user>Hi<assistant>HelloAnd now?||-|[0, 1]\n"
    assert template.stop == ()


def test_own_jinja_does_not_escape() -> None:
    assert get_template("{{ input }}").prompt(Sample("1", "<b> & 'c'")) == "<b> & 'c'"


def test_signatures_tell_own_templates_apart() -> None:
    assert get_template("{{ input }}").signature != get_template("{{ input }} ").signature
    assert get_template("{{ input }}").signature == JinjaTemplate("{{ input }}").signature


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("{{ input", "line 1: unexpected end of template"),
        ("a\n{% if %}{{ input }}", "line 2:"),
        ("{{ inputs }}", "it uses 'inputs', did you mean 'input'; allowed are input, context"),
        ("{{ zzz }}", "it uses 'zzz'; allowed are input, context, history, metadata"),
        ("{{ input | nosuch }}", "No filter named 'nosuch'"),
    ],
)
def test_bad_jinja_is_refused_when_it_is_made(source: str, sentence: str) -> None:
    with pytest.raises(BadTemplate) as caught:
        get_template(source)
    assert sentence in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    "source",
    [
        "{{ metadata.topic }}",
        "{{ input + 1 }}",
        "{{ 1 // 0 }}{{ input }}",
        "{{ input.__class__.__mro__ }}",
        "{{ history.append(1) }}",
        "{{ metadata.update({'a': 1}) }}",
        "{{ range(10 ** 9) | list }}",
        "{{ '%z' | format(input) }}",
    ],
)
def test_what_a_sample_cannot_render_or_the_sandbox_forbids_is_one_sentence(source: str) -> None:
    template = get_template(source)
    with pytest.raises(BadTemplate, match="sample '1' does not render"):
        template.prompt(PLAIN)


def test_unknown_name_lists_the_nearest() -> None:
    with pytest.raises(UnknownName, match="Did you mean 'alpaca'") as caught:
        get_template("alpca")
    assert caught.value.allowed == ["alpaca", "chat", "plain", "question_answer"]
