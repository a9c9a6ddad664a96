"""The `harness` command: finds the verb, and turns exceptions into one line and an exit code."""

from __future__ import annotations

import errno
import importlib
import os
import sys
import traceback
from collections.abc import Callable, Sequence

from harness.exceptions import HarnessError, UnknownName

VERBS = {
    "demo": "Run the whole pipeline on the product's own data set.",
    "run": "Run an experiment file: prepare, tune, evaluate, compare, report.",
    "prepare": "Clean, split and describe a data file.",
    "finetune": "Fine-tune a model on a data file.",
    "eval": "Evaluate one model on a task.",
    "bench": "Run standard benchmarks, with lm-eval's tasks and numbers.",
    "compare": "Compare two stored runs sample by sample.",
    "report": "Draw the HTML report of stored runs.",
    "list": "List metrics, categorizers, models, tasks, suites or templates.",
}
"""Each verb's code is the function `verb` in `harness/cli/<verb>_verb.py`, loaded when it is called."""

EXIT_INPUT, EXIT_HALFWAY, EXIT_INTERRUPTED = 2, 3, 130
_FULL_OR_LOCKED = {errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EPERM, errno.EDQUOT, errno.EFBIG, errno.EIO}
_RESUME = "Everything done so far is stored; the same command goes on."


def main() -> None:
    """Run the command line and exit: 0 done, 1 the answer is no, 2 input, 3 half-way, 130 Ctrl-C."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command line; returns the exit code. Exceptions become one line on stderr."""
    try:
        code = _dispatch(list(arguments))
        sys.stdout.flush()
    except BrokenPipeError:
        # the reader went away (`harness list | head`): no complaint, and none from Python at exit
        _discard_output()
        return 0
    except (Exception, KeyboardInterrupt) as problem:  # noqa: BLE001 - Python's own exit code, 1, means "the answer is no"
        return _said(*_sentence(problem))
    return code


def _sentence(problem: BaseException) -> tuple[str, int]:
    """What to say of an exception, and the exit code; a bug shows where it is, too."""
    if isinstance(problem, HarnessError):
        return str(problem), problem.exit_code
    if isinstance(problem, KeyboardInterrupt):
        return f"Interrupted. {_RESUME}", EXIT_INTERRUPTED
    if isinstance(problem, MemoryError):
        return f"There is not enough memory for this. {_RESUME}", EXIT_HALFWAY
    if isinstance(problem, OSError) and problem.errno in _FULL_OR_LOCKED:
        where = f"{problem.filename}: " if problem.filename else ""
        later = "Everything done so far is stored; once it can be written, the same command goes on."
        return f"{where}{problem.strerror}. {later}", EXIT_HALFWAY
    traceback.print_exception(problem)
    return f"This should not have happened: {type(problem).__name__}. {_RESUME}", EXIT_HALFWAY


def _discard_output() -> None:
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)


def _dispatch(arguments: list[str]) -> int:
    if not arguments or arguments[0] in {"-h", "--help"}:
        sys.stdout.write(help_text())
        return 0
    if arguments[0] == "--version":
        from importlib.metadata import version

        sys.stdout.write(f"harness {version('checkpoint-harness')}\n")
        return 0
    name, rest = arguments[0], arguments[1:]
    if name not in VERBS:
        raise UnknownName("verb", name, VERBS)
    verb: Callable[..., None] = importlib.import_module(f"harness.cli.{name}_verb").verb
    return _call(name, verb, rest)


def _call(name: str, verb: Callable[..., None], arguments: list[str]) -> int:
    """Parse the verb's own options from its signature with typer."""
    import typer
    from typer.main import get_command

    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    app.command(name=name, help=VERBS[name], context_settings={"help_option_names": ["-h", "--help"]})(verb)
    command = get_command(app)
    try:
        # Not command.main(): that turns Ctrl-C and a closed pipe into exit codes without a word.
        with command.make_context(f"harness {name}", arguments) as context:
            command.invoke(context)
    except typer.Exit as done:
        return done.exit_code
    except Exception as problem:
        # typer's usage errors, whose classes are not public: one sentence, as for any bad input
        sentence = getattr(problem, "format_message", None)
        if sentence is None:
            raise
        return _said(f"{_usage(sentence())} See: harness {name} --help", EXIT_INPUT)
    return 0


def _usage(sentence: str) -> str:
    """Typer's sentence with a full stop; the parser's reason in the words of the other sentences."""
    said = sentence.replace("Input should be", "it must be").partition(", unable to parse")[0].strip()
    return said if said.endswith((".", "?", "!")) else f"{said}."


def help_text() -> str:
    """What `harness --help` prints."""
    width = max(map(len, VERBS))
    lines = [f"  {name.ljust(width)}  {about}" for name, about in VERBS.items()]
    return "\n".join(
        [
            "Did this fine-tuning help, where, at what price, and is the difference real?",
            "",
            "Usage: harness VERB [OPTIONS]    (harness VERB --help shows a verb's options)",
            "",
            *lines,
            "",
        ]
    )


def _said(sentence: str, code: int) -> int:
    sys.stderr.write(f"harness: {' '.join(sentence.split())}\n")
    return code
