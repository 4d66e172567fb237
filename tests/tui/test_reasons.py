"""A key that does nothing at this moment says why."""

from pathlib import Path

from tests.support.situations import SITUATIONS, app_in, visit
from tui.app.app import MqloraApp
from tui.app.keys import PLACES

import pytest
from textual.actions import parse

_SIZE = (120, 40)
_GENERAL = "That cannot be done now; ? shows what can be done here."


def unexplained(app: MqloraApp) -> list[str]:
    """Return the keys of the present screen that cannot be used now and would not say why."""
    keys: dict[str, list[tuple[bool, str]]] = {}
    for node, bindings in app.screen._modal_binding_chain:
        for key, of_key in bindings.key_to_bindings.items():
            for binding in of_key:
                _namespace, action, parameters = parse(binding.action)
                can = node.check_action(action, parameters) is True
                if binding.description and (len(key) == 1 or key == "enter"):
                    keys.setdefault(key, []).append((can, binding.action))
    return [
        f"{key} {actions[0][1]}"
        for key, actions in keys.items()
        if not any(can for can, _action in actions) and app._why_not(actions[0][1]) == _GENERAL
    ]


@pytest.mark.parametrize("situation", SITUATIONS)
async def test_each_key_that_cannot_be_used_now_has_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, situation: str
) -> None:
    """In every place, whatever the run and the data are."""
    async with app_in(situation, tmp_path, _SIZE, monkeypatch) as pilot:
        app = pilot.app
        assert isinstance(app, MqloraApp)
        left = {}
        for mode in PLACES:
            await visit(pilot, mode)
            left[mode] = unexplained(app)
        assert not any(left.values()), {mode: keys for mode, keys in left.items() if keys}
