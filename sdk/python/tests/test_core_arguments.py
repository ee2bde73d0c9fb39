"""Arguments of another type than they shall have."""

from __future__ import annotations

from typing import Any

import pytest
from script import Script, wire

from secureagent._core import executions, sandboxes


def test_a_mapping_is_no_lifecycle() -> None:
    script, wrong = Script(), {"idleTimeout": 60}
    more: dict[str, Any] = {"runtime": "python", "lifecycle": wrong}
    with pytest.raises(TypeError, match="^lifecycle: expected a Lifecycle, got dict"):
        script.run(sandboxes.create(wire(), **more))
    changes: dict[str, Any] = {"labels": None, "annotations": None, "timeout": None}
    with pytest.raises(TypeError, match="^lifecycle: expected a Lifecycle, got dict"):
        script.run(sandboxes.update(wire(), "sb-1", lifecycle=wrong, **changes))  # type: ignore[arg-type]
    assert not script.requests


def test_a_mapping_is_no_limits() -> None:
    script = Script()
    job = executions.Job(code="1", limits={"memory": "64Mi"})  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="^limits: expected a Limits, got dict"):
        script.run(executions.run(wire(), "sb-1", job))
    assert not script.requests
