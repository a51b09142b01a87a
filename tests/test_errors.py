"""The tree of failures, its exit codes, and how foreign failures become sentences."""

import inspect
import pickle

import pytest

from podcaster import errors

EXIT_CODES = {
    "PodcasterError": 1,
    "ConfigError": 2,
    "InputError": 3,
    "EngineError": 4,
    "EngineMissing": 4,
    "VoiceError": 5,
    "ConsentMissing": 5,
    "RunError": 6,
    "RunLocked": 6,
}


def error_classes() -> dict[str, type[errors.PodcasterError]]:
    return {
        name: kind
        for name, kind in inspect.getmembers(errors, inspect.isclass)
        if issubclass(kind, errors.PodcasterError)
    }


def test_the_tree_in_the_docstring_is_the_tree_in_the_code() -> None:
    assert {name: kind.exit_code for name, kind in error_classes().items()} == EXIT_CODES
    for name, kind in error_classes().items():
        line = next(line for line in (errors.__doc__ or "").splitlines() if f"{name} " in line)
        assert str(kind.exit_code) in line


def test_an_error_reads_as_what_happened_and_what_to_do() -> None:
    error = errors.InputError("The note a.txt is empty.", next_step="Give one with text.")
    assert str(error) == "The note a.txt is empty. Give one with text."


def test_an_error_crosses_process_borders_whole() -> None:
    error = errors.EngineMissing("No model.", next_step="Run `podcaster setup`.")
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy)) == (errors.EngineMissing, str(error))


def test_a_foreign_failure_becomes_a_sentence_with_its_cause() -> None:
    with (
        pytest.raises(errors.EngineError, match=r"Loading x failed: no such tensor\.") as caught,
        errors.foreign(errors.EngineError, "Loading x"),
    ):
        raise ValueError("no such tensor")
    assert isinstance(caught.value.__cause__, ValueError)


def test_our_own_failures_and_unlisted_ones_pass_unchanged() -> None:
    with pytest.raises(errors.VoiceError), errors.foreign(errors.EngineError, "Speaking"):
        raise errors.VoiceError("No such voice.")
    with pytest.raises(ZeroDivisionError), errors.foreign(errors.EngineError, "Speaking", OSError):
        raise ZeroDivisionError
