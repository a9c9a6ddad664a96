from __future__ import annotations

import json
import math
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from harness.exceptions import BadValue, InputError, MissingExtra, StageFailed, UnknownName
from harness.models import MODELS, openai
from harness.models.base import Decoding, Model, generate_all, loglikelihood_all
from harness.models.openai import OpenAIModel, ServerProblem
from harness.records import Finish, Generation, LogLikelihood, Message

GREEDY = Decoding()
KEY = "HARNESS_TEST_KEY"
Reply = tuple[int, object] | str | None
"""(status, JSON), text to send as it is, or None to cut the connection."""


class Quiet(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """A client that hung up is part of the tests."""


class Server:
    """A scripted server on the loopback; `answer` maps (path, body, attempt of that body) to a reply."""

    def __init__(self) -> None:
        self.answer: Callable[[str, dict[str, Any], int], Reply] = lambda *_: chat("ok")
        self.models: Reply = (200, {"object": "list", "data": []})
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self.keys: set[str | None] = set()
        self.headers: dict[str, str] = {}
        self.delay = 0.0
        self.busiest = 0
        self._busy = 0
        self._lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.keys.add(self.headers["Authorization"])
                self.reply(outer.models)

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                self.reply(outer.handle(self.path, body))

            def reply(self, reply: Reply) -> None:
                if reply is None:
                    self.connection.shutdown(socket.SHUT_RDWR)
                    self.close_connection = True
                    return
                status, text = (200, reply) if isinstance(reply, str) else (reply[0], json.dumps(reply[1]))
                data = text.encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                for name, value in outer.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                pass

        self.http = Quiet(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}/v1"
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def handle(self, path: str, body: dict[str, Any]) -> Reply:
        with self._lock:
            attempt = sum(known == body for _, known in self.requests)
            self.requests.append((path, body))
            self._busy += 1
            self.busiest = max(self.busiest, self._busy)
        time.sleep(self.delay)
        with self._lock:
            self._busy -= 1
        return self.answer(path, body, attempt)

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()


def chat(text: str | None, finish: object = "stop", **message: object) -> Reply:
    choice = {
        "index": 0,
        "finish_reason": finish,
        "message": {"role": "assistant", "content": text} | message,
    }
    return 200, {"choices": [choice], "usage": {"completion_tokens": 7}}


def completion(text: object, finish: object = "stop", **choice: object) -> Reply:
    return 200, {"choices": [{"index": 0, "text": text, "finish_reason": finish} | choice]}


@pytest.fixture
def server() -> Iterator[Server]:
    scripted = Server()
    yield scripted
    scripted.close()


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    waited: list[float] = []
    monkeypatch.setattr(openai, "_pause", lambda _stop, seconds: waited.append(seconds))
    return waited


def model_of(server: Server, **settings: Any) -> OpenAIModel:
    return OpenAIModel(server.url, "tiny", **({"api_key_env": None, "plain_as": "chat"} | settings))


def test_it_is_a_model_and_registered(server: Server) -> None:
    model = MODELS.create({"openai": {"base_url": server.url, "model": "tiny", "api_key_env": None}})
    assert isinstance(model, Model)
    assert model.name == "tiny"


def test_messages_and_decoding_reach_the_server(server: Server) -> None:
    prompt = (Message("system", "short"), Message("user", "2+2?"))
    decoding = Decoding(max_new_tokens=9, temperature=0.5, top_p=0.9, stop=("\n", "##"), seed=3)
    (got,) = generate_all(model_of(server), [prompt], decoding)
    assert got == Generation("ok", 7, Finish.STOP)
    assert server.requests == [
        (
            "/v1/chat/completions",
            {
                "model": "tiny",
                "messages": [{"role": "system", "content": "short"}, {"role": "user", "content": "2+2?"}],
                "max_tokens": 9,
                "temperature": 0.5,
                "top_p": 0.9,
                "stop": ["\n", "##"],
                "seed": 3,
            },
        )
    ]


def test_plain_text_goes_to_completions_or_becomes_a_user_turn(server: Server) -> None:
    server.answer = lambda path, *_: completion("plain") if path == "/v1/completions" else chat("turn")
    (plain,) = generate_all(model_of(server, plain_as="completions"), ["p"], GREEDY)
    (turn,) = generate_all(model_of(server), ["p"], GREEDY)
    assert (plain.text, turn.text) == ("plain", "turn")
    assert plain.tokens == 0
    assert server.requests[0][1]["prompt"] == "p"
    assert server.requests[1][1]["messages"] == [{"role": "user", "content": "p"}]
    assert all("stop" not in body for _, body in server.requests)


def test_the_limit_goes_by_the_name_the_server_knows(server: Server) -> None:
    server.answer = lambda path, *_: completion("x") if path == "/v1/completions" else chat("x")
    for plain_as in ("chat", "completions"):
        model = model_of(server, limit_name="max_completion_tokens", plain_as=plain_as)
        generate_all(model, ["p"], Decoding(max_new_tokens=5))
    chat_body, plain_body = (body for _, body in server.requests)
    assert chat_body["max_completion_tokens"] == plain_body["max_tokens"] == 5
    assert "max_tokens" not in chat_body
    assert "max_completion_tokens" not in plain_body


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (chat("cut", "length"), Generation("cut", 7, Finish.LENGTH)),
        (chat("end", "eos_token"), Generation("end", 7, Finish.STOP)),
        (chat(None, "content_filter"), Generation("", 7, Finish.REFUSED)),
        (chat(None, "stop", refusal="I cannot."), Generation("I cannot.", 7, Finish.REFUSED)),
        (
            chat(None, "tool_calls"),
            Generation("", 0, Finish.FAILED, "the server ended with finish_reason 'tool_calls'"),
        ),
        (chat("x", None), Generation("", 0, Finish.FAILED, "the server ended with finish_reason None")),
    ],
)
def test_finish_reasons(server: Server, reply: Reply, expected: Generation) -> None:
    server.answer = lambda *_: reply
    assert generate_all(model_of(server), ["p"], GREEDY) == [expected]


def test_stop_strings_beyond_the_fourth_are_cut_here(server: Server) -> None:
    server.answer = lambda *_: chat("one E two", "length")
    (got,) = generate_all(model_of(server), ["p"], Decoding(stop=("A", "B", "C", "D", "E")))
    assert got == Generation("one ", 7, Finish.STOP)
    assert server.requests[0][1]["stop"] == ["A", "B", "C", "D"]


def test_batches_are_planned_groups_in_order_with_several_requests_at_once(server: Server) -> None:
    server.delay = 0.05
    server.answer = lambda _path, body, _: chat(body["messages"][0]["content"].upper())
    model = model_of(server, concurrency=2)
    prompts = [f"p{number}" for number in range(20)]
    batches = list(model.generate(prompts, GREEDY, have={1, *range(8, 16)}))
    assert [list(indices) for indices, _ in batches] == [[0, 2, 3, 4, 5, 6, 7], [16, 17, 18, 19]]
    assert [g.text for _, part in batches for g in part] == [
        f"P{i}" for i in (0, *range(2, 8), *range(16, 20))
    ]
    assert server.busiest == 2


def test_nothing_is_sent_when_nothing_is_missing() -> None:
    model = OpenAIModel("http://127.0.0.1:9/v1", "tiny", api_key_env="HARNESS_NO_SUCH_KEY")
    assert list(model.generate(["a"], GREEDY, have={0})) == []
    assert list(model.generate([], GREEDY)) == []


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_passing_statuses_are_tried_again_with_doubling_pauses(
    server: Server, pauses: list[float], status: int
) -> None:
    server.answer = lambda _path, _body, attempt: (status, {"error": {}}) if attempt < 3 else chat("late")
    assert generate_all(model_of(server), ["p"], GREEDY)[0].text == "late"
    assert pauses == [0.5, 1.0, 2.0]


def test_a_cut_connection_and_garbage_are_tried_again(server: Server, pauses: list[float]) -> None:
    replies: list[Reply] = [
        None,
        "<html>",
        "[1]",
        (200, {}),
        (200, {"choices": [{}]}),
        chat(None),
        chat("fine"),
    ]
    server.answer = lambda _path, _body, attempt: replies[attempt]
    assert generate_all(model_of(server, retries=6), ["p"], GREEDY)[0].text == "fine"
    assert len(pauses) == 6


def test_retry_after_is_obeyed_up_to_a_minute(server: Server, pauses: list[float]) -> None:
    server.answer = lambda _path, _body, attempt: (429, {}) if attempt == 0 else chat("x")
    for wanted in ("3", "9999", "Wed, 21 Oct 2026 07:28:00 GMT"):
        server.headers = {"Retry-After": wanted}
        server.requests.clear()
        generate_all(model_of(server), ["p"], GREEDY)
    assert pauses == [3.0, 60.0, 0.5]


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ((500, {"error": {"message": "boom"}}), "HTTP 500"),
        (None, "connection lost"),
        ("<html>no</html>", "the answer is not JSON: '<html>no</html>'"),
        ((200, {"choices": []}), "the answer has no choices"),
    ],
)
def test_a_prompt_that_keeps_failing_is_a_failed_generation_and_the_others_go_on(
    server: Server, pauses: list[float], reply: Reply, reason: str
) -> None:
    server.answer = lambda _path, body, _: reply if body["messages"][0]["content"] == "bad" else chat("fine")
    first, bad, last = generate_all(model_of(server, retries=2), ["a", "bad", "b"], GREEDY)
    assert first.text == last.text == "fine"
    assert (bad.finish, bad.text) == (Finish.FAILED, "")
    assert bad.failure is not None
    assert bad.failure.startswith(reason)
    assert bad.failure.endswith("after 3 tries")
    assert len(pauses) == 2


def test_a_slow_answer_is_a_time_out(server: Server, pauses: list[float]) -> None:
    server.delay = 0.6
    (got,) = generate_all(model_of(server, timeout=0.15, retries=1), ["p"], GREEDY)
    assert got.failure == "no answer within 0.15 s after 2 tries"
    assert len(pauses) == 1


def test_a_bad_request_is_not_tried_again(server: Server, pauses: list[float]) -> None:
    server.answer = lambda *_: (400, {"error": {"message": "too long"}})
    (got,) = generate_all(model_of(server), ["p"], GREEDY)
    assert got.finish is Finish.FAILED
    assert got.failure is not None
    assert got.failure.startswith("HTTP 400")
    assert "too long" in got.failure
    assert (len(server.requests), pauses) == (1, [])


def test_text_that_cannot_be_sent_fails_alone(server: Server, pauses: list[float]) -> None:
    bad, good = generate_all(model_of(server), ["\ud800", "p"], GREEDY)
    assert bad.failure == "the prompt holds a lone surrogate, which cannot be sent"
    assert good.text == "ok"
    assert pauses == []


def test_a_server_that_goes_away_stops_the_stage(server: Server, pauses: list[float]) -> None:
    def leave(*_: object) -> Reply:
        server.models = None
        return None

    server.answer = leave
    with pytest.raises(StageFailed, match=r"Generation stopped: The server at .* cannot be reached"):
        generate_all(model_of(server, retries=1), ["a", "b"], GREEDY)
    assert len(pauses) == 2


def test_check_passes_where_the_server_cannot_list_models(server: Server) -> None:
    server.models = (404, {"error": "no such page"})
    model_of(server).check()


def test_an_unreachable_server_is_noticed_before_work() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    model = OpenAIModel(url, "tiny", api_key_env=None)
    with pytest.raises(ServerProblem, match=f"The server at {url} cannot be reached") as caught:
        model.check()
    assert "\n" not in str(caught.value)
    with pytest.raises(ServerProblem):
        next(model.generate(["p"], GREEDY))


def test_the_key_comes_from_the_environment(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY, "s3cret")
    model = model_of(server, api_key_env=KEY)
    model.check()
    assert server.keys == {"Bearer s3cret"}
    assert "s3cret" not in repr(model)
    monkeypatch.delenv(KEY)
    with pytest.raises(InputError, match=f"environment variable {KEY} is not set"):
        model.check()


@pytest.mark.parametrize(
    ("setting", "named"), [(KEY, f"the key in {KEY}"), (None, "a request without a key")]
)
def test_a_refused_key_is_noticed_before_work(
    server: Server, monkeypatch: pytest.MonkeyPatch, setting: str | None, named: str
) -> None:
    monkeypatch.setenv(KEY, "wrong")
    server.models = (401, {"error": {"message": "bad key"}})
    with pytest.raises(ServerProblem, match=f"does not accept {named}"):
        next(model_of(server, api_key_env=setting).generate(["p"], GREEDY))
    assert server.requests == []


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(MissingExtra, match=r"checkpoint-harness\[openai\]"):
        OpenAIModel("http://127.0.0.1:9/v1", "tiny", api_key_env=None).check()


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"base_url": "localhost:8000"}, BadValue),
        ({"model": ""}, BadValue),
        ({"plain_as": "chats"}, UnknownName),
        ({"limit_name": "tokens"}, UnknownName),
        ({"concurrency": 0}, BadValue),
        ({"retries": -1}, BadValue),
        ({"timeout": 0}, BadValue),
        ({"backoff": -0.1}, BadValue),
    ],
)
def test_bad_settings_are_refused(settings: dict[str, Any], problem: type[InputError]) -> None:
    (name,) = settings
    with pytest.raises(problem, match=name):
        OpenAIModel(**({"base_url": "http://x/v1", "model": "m"} | settings))


def test_the_fingerprint_follows_what_changes_answers() -> None:
    base: dict[str, Any] = {"base_url": "http://x/v1", "model": "m"}
    same = [
        OpenAIModel(**base),
        OpenAIModel("http://x/v1/", "m"),
        OpenAIModel("http://x/v1", "m", None, concurrency=2, retries=0, timeout=1, backoff=0),
    ]
    others = [
        OpenAIModel(**(base | {"base_url": "http://y/v1"})),
        OpenAIModel(**(base | {"model": "n"})),
        OpenAIModel(**base, plain_as="chat"),
        OpenAIModel(**base, revision="2"),
    ]
    assert len({model.fingerprint for model in same}) == 1
    assert len({model.fingerprint for model in [same[0], *others]}) == 5


def echo(text: str, tokens: list[str], values: list[float | None], best: list[float]) -> Reply:
    """An answer in the layout of OpenAI's completions reference (`logprobs` of the legacy end point)."""
    offsets = [sum(len(token) for token in tokens[:index]) for index in range(len(tokens))]
    top = [None if value is None else {"?": high} for value, high in zip(values, best, strict=True)]
    logprobs = {"tokens": tokens, "token_logprobs": values, "text_offset": offsets, "top_logprobs": top}
    return completion(text, "length", logprobs=logprobs)


def test_loglikelihoods_sum_the_continuation_only(server: Server) -> None:
    tokens, values = ["The", " sky", " is", " blue", "!", " x"], [None, -4.0, -2.0, -0.25, -0.5, -9.0]
    replies = {
        "The sky is blue!": echo("The sky is blue! x", tokens, values, [0, -1, -1, -0.25, -0.5, -9.0]),
        "The sky is": echo("The sky is!", [*tokens[:3], "!"], values[:4], [0, -1, -1, -0.25]),
    }
    server.answer = lambda _path, body, _: replies[body["prompt"]]
    # Between "is" and " blue"; inside the token " sky"; a continuation of which greedy would write no token.
    pairs = [("The sky is", " blue!"), ("The sk", "y is blue!"), ("The", " sky is")]
    assert loglikelihood_all(model_of(server), pairs) == [
        LogLikelihood(-0.75, greedy=True, tokens=2),
        LogLikelihood(-6.75, greedy=False, tokens=4),
        LogLikelihood(-6.0, greedy=False, tokens=2),
    ]
    path, body = server.requests[0]
    assert path == "/v1/completions"
    assert body["echo"] is True
    assert body["logprobs"] == 1


def test_a_loglikelihood_that_is_not_finite_is_returned(server: Server) -> None:
    server.answer = lambda *_: echo("ab", ["a", "b"], [None, math.nan], [0, -1])
    (got,) = loglikelihood_all(model_of(server), [("a", "b")])
    assert math.isnan(got.value)
    assert not got.greedy


@pytest.mark.parametrize(
    ("reply", "missing"),
    [
        (completion("ab"), "no logprobs"),
        (completion("b", logprobs={}), "does not begin with the prompt"),
        (completion("ab", logprobs={"token_logprobs": []}), "no text_offset"),
        (echo("ab", ["ab"], [None], [0]), "no log-probability for some token"),
    ],
)
def test_a_server_without_echo_is_named(server: Server, reply: Reply, missing: str) -> None:
    server.answer = lambda *_: reply
    with pytest.raises(ServerProblem, match=f"{missing}.*echo and logprobs"):
        loglikelihood_all(model_of(server), [("a", "b")])


@pytest.mark.parametrize("prompt", ["", (Message("user", "a"),)])
def test_prompts_that_cannot_be_scored_are_refused_before_work(prompt: Any) -> None:
    model = OpenAIModel("http://127.0.0.1:9/v1", "tiny", api_key_env=None)
    with pytest.raises(InputError, match=r"empty prompt|chat prompts"):
        loglikelihood_all(model, [("fine", "x"), (prompt, "x")])


def test_a_loglikelihood_that_keeps_failing_stops_the_stage(server: Server, pauses: list[float]) -> None:
    columns = {"token_logprobs": [None, -1.0], "text_offset": [0], "top_logprobs": [None]}
    server.answer = lambda *_: completion("ab", logprobs=columns)
    with pytest.raises(StageFailed, match="differ in length after 2 tries"):
        loglikelihood_all(model_of(server, retries=1), [("a", "b")])
    assert len(pauses) == 1


def test_leaving_in_the_middle_ends_the_waiting(server: Server) -> None:
    server.answer = lambda _path, body, _: (500, {}) if body["messages"][0]["content"] == "b" else chat("x")
    model = model_of(server, concurrency=1, retries=5, backoff=50.0)
    stop = threading.Event()
    threading.Timer(0.2, stop.set).start()
    started = time.monotonic()
    with model._client() as client, pytest.raises(openai._Failure, match="after 1 try"):
        openai._Ask(model, client, stop)("chat/completions", {"messages": [{"content": "b"}]}, len)
    assert time.monotonic() - started < 10


def test_batches_can_be_abandoned(server: Server) -> None:
    batches = model_of(server, concurrency=1).generate([str(n) for n in range(9)], GREEDY)
    assert len(next(batches)[0]) == 4
    del batches
    assert len(server.requests) == 4
