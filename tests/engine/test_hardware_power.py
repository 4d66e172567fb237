"""What the power supply, the lid and the display of machines that are not here mean for a night."""

from collections.abc import Callable
from types import SimpleNamespace

from engine.hardware import mac
from engine.hardware.power import LONG_STEP_S, check_power, display_warning, power_warnings, read_battery

import pytest

# What the tools print on a MacBook Pro, cut to a few lines.
SETTINGS = """System-wide power settings:
Currently in use:
 standby              1
 Sleep On Power Button 1
 womp                 1
 powernap             1
 sleep                1 (sleep prevented by caffeinate)
 lowpowermode         {low}
 displaysleep         10
"""
POWERMODE = """Currently in use:
 standby              1
 powermode            {mode}
 tcpkeepalive         1
"""
DISPLAY_OFF = """2025-11-02 13:20:57 -0600
Assertion status system-wide:
   UserIsActive                   0
   PreventUserIdleDisplaySleep    0
   PreventUserIdleSystemSleep     1
Listed by owning process:
   pid 98217(caffeinate): [0x00045477000194b3] 00:00:03 PreventUserIdleSystemSleep named: "caffeinate \
command-line tool"
"""
DISPLAY_ON = f"""{DISPLAY_OFF}   pid 80(powerd): [0x00044f2f00019216] 00:22:34 PreventUserIdleSystemSleep \
named: "Powerd - Prevent sleep while display is on"
"""
LID = """+-o IOPMrootDomain  <class IOPMrootDomain, id 0x10000011a, registered, matched, active, busy 0>
    {{
      "AppleClamshellCausesSleep" = Yes
      "AppleClamshellState" = {closed}
    }}
"""
CALM = SETTINGS.format(low=0)
SAVING = SETTINGS.format(low=1)
SHUT, OPEN = LID.format(closed="Yes"), LID.format(closed="No")
CHARGED = (71.0, True)
ON_BATTERY = (71.0, False)


def a_mac(settings: str = CALM, assertions: str = DISPLAY_OFF, lid: str = "") -> Callable[[list[str]], str]:
    """Return a runner that answers as a Mac would, and with nothing to any other question."""
    known = {
        ("pmset", "-g"): settings,
        ("pmset", "-g", "assertions"): assertions,
        ("ioreg", "-r", "-k", "AppleClamshellState", "-d", "1"): lid,
    }
    return lambda arguments: known.get(tuple(arguments), "")


def refuse(arguments: list[str]) -> str:
    raise AssertionError(arguments)


# --- the row of the machine check ---


@pytest.mark.parametrize(
    ("battery", "settings", "status", "value"),
    [
        (None, "", "ok", "no battery"),
        ((71.0, False), CALM, "warning", "battery 71 %"),
        ((71.4, True), CALM, "ok", "plugged in, battery 71 %"),
        ((71.0, True), SAVING, "warning", "plugged in, battery 71 %"),
        ((100.0, True), POWERMODE.format(mode=0), "ok", "plugged in, battery 100 %"),
        ((100.0, True), POWERMODE.format(mode=1), "warning", "plugged in, battery 100 %"),
        ((100.0, True), POWERMODE.format(mode=2), "ok", "plugged in, battery 100 %"),
        (None, SAVING, "warning", "no battery"),
    ],
)
def test_power_that_will_not_last_or_slows_down_is_warned_of(
    battery: tuple[float, bool] | None, settings: str, status: str, value: str
) -> None:
    """On battery, or plugged in with Low Power Mode on (powermode 2 is the high one)."""
    found = check_power(battery, "Darwin", a_mac(settings))
    assert (found.status, found.value) == (status, value)
    assert bool(found.fix) == (status != "ok")


def test_the_row_says_what_the_night_asks_for_while_a_display_is_on() -> None:
    """All is well, so it is advice and no warning; the row leaves room for symbol and label at 80 columns."""
    found = check_power((100.0, True), "Darwin", a_mac(assertions=DISPLAY_ON))
    assert (found.status, found.value) == ("ok", "plugged in, battery 100 %; at night turn the display off")
    assert len(found.value) <= 80 - 21
    assert found.detail
    assert "pmset displaysleepnow" in found.fix


def test_a_warning_is_not_crowded_by_advice_for_the_night() -> None:
    """One thing at a time: first the charger."""
    found = check_power(ON_BATTERY, "Darwin", a_mac(assertions=DISPLAY_ON))
    assert (found.value, found.fix) == ("battery 71 %", "plug in the charger")


@pytest.mark.parametrize(("plugged", "expected"), [(True, True), (False, False), (None, True)])
def test_a_battery_of_unknown_state_counts_as_plugged_in(
    monkeypatch: pytest.MonkeyPatch, plugged: bool | None, expected: bool
) -> None:
    """psutil tells None where the system does not say; that is no reason to warn."""
    reading = SimpleNamespace(percent=71, power_plugged=plugged)
    monkeypatch.setattr("psutil.sensors_battery", lambda: reading, raising=False)
    assert read_battery() == (71.0, expected)


def test_no_battery_sensor_is_no_battery(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some systems have no such function in psutil."""
    monkeypatch.delattr("psutil.sensors_battery", raising=False)
    assert read_battery() is None


# --- warnings when training starts ---


@pytest.mark.parametrize("battery", [None, CHARGED])
def test_a_mac_on_mains_with_all_its_speed_needs_no_warning(battery: tuple[float, bool] | None) -> None:
    """A closed lid is no matter there: with a monitor, or held by the keep-awake helper."""
    assert power_warnings(battery, "Darwin", a_mac(lid=SHUT)) == []


def test_every_reason_to_worry_is_reported_with_its_advice_gravest_first() -> None:
    """Closed lid, then battery, then Low Power Mode."""
    lid, battery, slow = power_warnings(ON_BATTERY, "Darwin", a_mac(SAVING, lid=SHUT))
    assert "lid is closed" in lid
    assert lid.endswith("; plug in the charger or open the lid")
    assert "empty the battery" in battery
    assert battery.endswith("; plug in the charger")
    assert "Low Power Mode" in slow
    assert slow.endswith("sudo pmset -a lowpowermode 0")


@pytest.mark.parametrize(("percent", "is_low"), [(5.0, True), (20.0, True), (21.0, False)])
def test_a_low_battery_is_reported_with_its_charge(percent: float, is_low: bool) -> None:
    """A charge that lasts minutes is another message than one that lasts hours."""
    (warning,) = power_warnings((percent, False), "Darwin", a_mac(lid=OPEN))
    assert (f"low ({percent:.0f} %)" in warning) == is_low


def test_linux_warns_of_its_battery_without_asking_tools_of_macos() -> None:
    """A runner that is called fails this test."""
    (warning,) = power_warnings(ON_BATTERY, "Linux", refuse)
    assert "battery" in warning
    assert power_warnings(CHARGED, "Linux", refuse) == []
    assert check_power(CHARGED, "Linux", refuse).status == "ok"


def test_a_mac_that_answers_nothing_is_not_accused() -> None:
    """Tools may be missing, forbidden or slow."""
    assert power_warnings(CHARGED, "Darwin", lambda arguments: "") == []
    assert display_warning(60.0, "Darwin", lambda arguments: "") is None


# --- display and lid ---


def test_long_steps_with_the_display_on_are_warned_of() -> None:
    """The sentence names the duration and the command that helps."""
    warning = display_warning(3.14, "Darwin", a_mac(assertions=DISPLAY_ON))
    assert warning is not None
    assert "3.1 s" in warning
    assert warning.endswith("pmset displaysleepnow")


@pytest.mark.parametrize(
    ("seconds", "system", "assertions"),
    [
        (3.0, "Darwin", DISPLAY_OFF),
        (LONG_STEP_S - 0.01, "Darwin", DISPLAY_ON),
        (3.0, "Linux", DISPLAY_ON),
    ],
)
def test_no_warning_where_display_steps_or_system_give_no_reason(
    seconds: float, system: str, assertions: str
) -> None:
    """All three have to come together."""
    assert display_warning(seconds, system, a_mac(assertions=assertions)) is None


def test_the_threshold_lies_between_steps_reported_safe_and_steps_reported_ended() -> None:
    """0.33 s ran through, 1.25 s was ended every time."""
    on = a_mac(assertions=DISPLAY_ON)
    assert display_warning(0.33, "Darwin", on) is None
    assert display_warning(1.25, "Darwin", on) is not None


@pytest.mark.parametrize(("lid", "expected"), [(SHUT, True), (OPEN, False), ("", False)])
def test_the_lid_is_read_from_its_own_entry(lid: str, expected: bool) -> None:
    """Not from the one that says what closing it would do; desktop Macs have neither."""
    assert mac.lid_is_closed(a_mac(lid=lid)) is expected
