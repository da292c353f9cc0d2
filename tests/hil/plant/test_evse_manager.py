"""The simulated EvseManager against what EVerest's does at its energy interface."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from hil.plant import Car, CarModel, ChargePoint
from hil.plant.evse_manager import EvseManager

NOW = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
STEP_S = 0.1


def limits(
    current_A: float | None = 16.0, *, uuid: str = "evse", valid_for: int = 10, **more: Any
) -> dict[str, Any]:
    root = {name: {"value": value, "source": "test"} for name, value in more.items()}
    if current_A is not None:
        root["ac_max_current_A"] = {"value": current_A, "source": "test"}
    return {"uuid": uuid, "valid_for": valid_for, "limits_root_side": root, "schedule": []}


def run(evse: EvseManager, seconds: float, enforced: dict[str, Any] | None = None) -> Iterator[str]:
    """Refresh the limit each second as a manager does; yield each new state, with * for priority."""
    state = evse.evse_state
    for tick in range(round(seconds / STEP_S)):
        if enforced and tick % 10 == 0:
            evse.enforce_limits(enforced)
        priority = evse.advance(STEP_S)
        if evse.evse_state != state:
            state = evse.evse_state
            yield state + ("*" if priority else "")


def charging(car: Car | None = None, **kwargs: Any) -> EvseManager:
    evse = EvseManager("evse", ChargePoint(car=car or Car()), auth_after_s=0, **kwargs)
    list(run(evse, 10, limits()))
    assert evse.evse_state == "Charging"
    return evse


def test_a_whole_session() -> None:
    evse = EvseManager("evse", ChargePoint(), auth_after_s=1)
    assert list(run(evse, 2, limits())) == []
    evse.point.plug_in(Car(soc=0.5, target_soc=0.5 + 0.03 / 60))
    assert list(run(evse, 30, limits())) == ["WaitForAuth*", "PrepareCharging", "Charging", "PausedEV"]
    evse.point.unplug()
    assert list(run(evse, 2, limits())) == ["Finished*", "Unplugged"]


def test_the_cable_is_told_to_the_tree_as_long_as_it_is_there() -> None:
    evse = charging()

    def most() -> dict[str, Any]:
        most: dict[str, Any] = evse.request(NOW)["schedule_import"][0]["limits_to_root"]["ac_max_current_A"]
        return most

    assert most() == {"value": 32.0, "source": "evse/evse_board_support_caps"}
    evse.point.unplug()
    evse.point.plug_in(Car(), 13.0)
    assert most() == {"value": 13.0, "source": "evse/pp_ampacity"}


def test_no_current_before_the_card_is_shown() -> None:
    evse = EvseManager("evse", ChargePoint(car=Car()), auth_after_s=5)
    list(run(evse, 4, limits()))
    assert evse.current_A == (0, 0, 0)


def test_a_limit_below_six_ampere_pauses_and_a_higher_one_resumes() -> None:
    evse = charging()
    assert list(run(evse, 10, limits(5.9))) == ["Finished", "PausedEVSE"]
    assert evse.current_A == (0, 0, 0)
    assert list(run(evse, 10, limits(6.0))) == ["PrepareCharging", "Charging"]
    assert max(evse.current_A) == pytest.approx(6)


def test_a_limit_expires() -> None:
    evse = charging()
    evse.enforce_limits(limits(valid_for=10))
    list(run(evse, 10.5))
    assert max(evse.current_A) == pytest.approx(16)
    list(run(evse, 5))
    assert evse.limit_A == 0
    assert evse.current_A == (0, 0, 0)


@pytest.mark.parametrize(
    ("enforced", "limit_A"),
    [
        (limits(13.0), 13.0),
        (limits(None), 0.0),
        (limits(None, total_power_W=11_000), 0.0),  # a watt limit alone is 0 A, as in EVerest
        (limits(32.0, total_power_W=6_900), 10.0),
        (limits(-5.0), 0.0),
        (limits(13.0, uuid="somebody else"), 16.0),
    ],
)
def test_limits_become_amperes_as_in_everest(enforced: dict[str, Any], limit_A: float) -> None:
    evse = charging()
    evse.enforce_limits(enforced)
    assert evse.limit_A == pytest.approx(limit_A)


def test_phases_change_after_a_pause_and_the_request_says_so_at_once() -> None:
    evse = charging(switches_phases=True, switch_delay_s=10)
    to_one = limits(ac_max_phase_count=1)
    evse.enforce_limits(to_one)
    root = evse.request(NOW)["schedule_import"][0]["limits_to_root"]
    assert root["ac_number_of_active_phases"] == 1
    assert root["ac_max_phase_count"]["value"] == 3
    assert list(run(evse, 9, to_one)) == []
    assert evse.current_A == (0, 0, 0)
    list(run(evse, 10, to_one))
    assert evse.current_A == pytest.approx((16, 0, 0))
    assert evse.point.opened_under_load == 0


def test_hardware_that_cannot_switch_ignores_the_phase_limit() -> None:
    evse = charging()
    list(run(evse, 20, limits(ac_max_phase_count=1)))
    assert evse.current_A == pytest.approx((16, 16, 16))


def shape(value: Any) -> Any:
    """Names and kinds of a message, without its numbers and texts."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    if isinstance(value, list):
        return [shape(item) for item in value]
    return (
        "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__
    )


RECORDED: dict[str, Any] = {  # of EVerest's EvseManager while charging; without the optional temperatures
    "children": [],
    "energy_usage_root": {
        "current_A": {"L1": 15.934131622314453, "L2": 15.934131622314453, "L3": 15.934131622314453, "N": 0.2},
        "energy_Wh_import": {"L1": 7.0, "L2": 7.0, "L3": 7.0, "total": 22.0},
        "frequency_Hz": {"L1": 49.93306350708008, "L2": 49.93306350708008, "L3": 49.93306350708008},
        "meter_id": "YETI_POWERMETER",
        "phase_seq_error": False,
        "power_W": {"L1": 3523.0, "L2": 3523.0, "L3": 3523.0, "total": 10569.0},
        "timestamp": "2026-11-22T08:57:11Z",
        "voltage_V": {"L1": 221.08607482910156, "L2": 221.08607482910156, "L3": 221.08607482910156},
    },
    "evse_state": "Charging",
    "node_type": "Evse",
    "priority_request": False,
    "schedule_export": [
        {
            "limits_to_leaves": {
                "ac_max_current_A": {"source": "evse_manager_1 set_zero_discharge_limit", "value": 0.0},
                "total_power_W": {"source": "evse_manager_1 set_zero_discharge_limit", "value": 0.0},
            },
            "limits_to_root": {
                "ac_max_current_A": {"source": "evse_manager_1/evse_board_support_caps", "value": 16.0},
                "ac_max_phase_count": {"source": "evse_manager_1/evse_board_support_caps", "value": 3},
                "ac_min_current_A": {"source": "evse_manager_1/evse_board_support_caps", "value": 0.0},
                "ac_min_phase_count": {"source": "evse_manager_1/evse_board_support_caps", "value": 1},
                "ac_number_of_active_phases": 3,
                "ac_supports_changing_phases_during_charging": True,
            },
            "timestamp": "2026-11-22T08:57:12.072Z",
        }
    ],
    "schedule_import": [
        {
            "limits_to_leaves": {
                "ac_max_current_A": {"source": "evse_manager_1 update_max_current_limit", "value": 32.0}
            },
            "limits_to_root": {
                "ac_max_current_A": {"source": "evse_manager_1/evse_board_support_caps", "value": 32.0},
                "ac_max_phase_count": {"source": "evse_manager_1/evse_board_support_caps", "value": 3},
                "ac_min_current_A": {"source": "evse_manager_1/evse_board_support_caps", "value": 6.0},
                "ac_min_phase_count": {"source": "evse_manager_1/evse_board_support_caps", "value": 1},
                "ac_number_of_active_phases": 3,
                "ac_supports_changing_phases_during_charging": True,
            },
            "timestamp": "2026-11-22T08:57:12.072Z",
        }
    ],
    "schedule_setpoints": [],
    "uuid": "evse_manager_1",
}


def test_a_request_has_just_the_fields_of_a_recorded_one() -> None:
    point = ChargePoint(car=Car(CarModel(max_current_A=16)))
    evse = EvseManager("evse_manager_1", point, auth_after_s=0, switches_phases=True)
    list(run(evse, 10, limits(uuid="evse_manager_1")))
    request = evse.request(NOW)
    assert shape(request) == shape(RECORDED)
    ours, recorded = request["schedule_import"][0], RECORDED["schedule_import"][0]
    assert ours["limits_to_leaves"] == recorded["limits_to_leaves"]
    assert ours["limits_to_root"] == recorded["limits_to_root"]
    assert ours["timestamp"] == "2026-03-01T12:00:00.123Z"
    assert request["energy_usage_root"]["current_A"]["L1"] == pytest.approx(16)
