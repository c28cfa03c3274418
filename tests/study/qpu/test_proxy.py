"""The actor's answers as a training process gets them."""

from typing import Any

import pytest
import ray

from study.qpu import actor
from study.qpu.proxy import Proxy


@pytest.mark.parametrize("kind", ["OutOfMemoryError", "NodeDiedError"])
def test_an_actor_that_the_memory_monitor_killed_is_asked_again(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    answers: list[Any] = [getattr(ray.exceptions, kind)("low on memory"), 7]

    def get(question: str) -> int:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return int(answer)

    monkeypatch.setattr(actor, "actor", lambda: "the actor")
    monkeypatch.setattr(ray, "get", get)
    assert Proxy(None)._ask(lambda found: found) == 7  # type: ignore[arg-type]
