"""Golden frames: register contents computed by hand from the documents' coding, not by the code."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bsp.registers import Point, decode, encode, missing


def point(**settings: Any) -> Point:
    return Point(address=0, **settings)


@pytest.mark.parametrize(
    ("settings", "registers", "value"),
    [
        ({"type": "uint16"}, [0xFFFF], 65535),
        ({"type": "int16"}, [0xFFFF], -1),
        ({"type": "int16", "scale": 0.1}, [500], 50.0),
        # 230.5 V = 0x43668000 in IEEE 754
        ({"type": "float32"}, [0x4366, 0x8000], 230.5),
        ({"type": "float32", "word_order": "lsw_first"}, [0x8000, 0x4366], 230.5),
        # 12.5 kWh = 0x41480000
        ({"type": "float32", "scale": 1000}, [0x4148, 0x0000], 12500.0),
        # Carlo Gavazzi: -1234 tenths of a watt, low word first
        ({"type": "int32", "word_order": "lsw_first", "scale": 0.1}, [0xFB2E, 0xFFFF], -123.4),
        # ABB: 8-byte counter of 0.01 kWh
        ({"type": "uint64", "scale": 10}, [0, 0, 0x0001, 0x86A0], 1_000_000),
        ({"type": "int64"}, [0xFFFF, 0xFFFF, 0xFFFF, 0xFFFE], -2),
        # Siemens PAC: double of 1.0 = 0x3FF0...
        ({"type": "float64"}, [0x3FF0, 0, 0, 0], 1.0),
        ({"type": "ascii", "length": 5}, [0x4332, 0, 0, 0, 0], "C2"),
        ({"type": "ascii"}, [0x0042], "B"),
        ({"type": "uint16", "mask": 0x00FF}, [0x1203], 3),
        ({"type": "uint16", "mask": 0xFF00}, [0x1203], 0x12),
        ({"type": "uint32", "mask": 0x00007F00}, [0x0000, 0x8400], 4),
    ],
)
def test_registers_mean(settings: dict[str, Any], registers: list[int], value: object) -> None:
    decoded = decode(point(**settings), registers)
    assert decoded == pytest.approx(value) if isinstance(value, float) else decoded == value


@pytest.mark.parametrize(
    ("settings", "registers"),
    [
        ({"type": "float32"}, [0x7FC0, 0x0000]),
        ({"type": "float32"}, [0x7F80, 0x0000]),
        ({"type": "int16", "invalid": ["lowest"]}, [0x8000]),
        ({"type": "uint16", "invalid": ["ones"]}, [0xFFFF]),
        ({"type": "uint32", "invalid": ["highest"]}, [0xFFFF, 0xFFFF]),
        ({"type": "int32", "invalid": ["highest"]}, [0x7FFF, 0xFFFF]),
        ({"type": "int32", "invalid": ["highest"], "word_order": "lsw_first"}, [0xFFFF, 0x7FFF]),
        ({"type": "uint32", "invalid": ["zero"]}, [0, 0]),
        ({"type": "uint16", "invalid": [0x7FFF, 9999]}, [9999]),
        ({"type": "ascii", "length": 2}, [0, 0x2020]),
    ],
)
def test_markers_mean_missing_and_never_a_number(settings: dict[str, Any], registers: list[int]) -> None:
    assert decode(point(**settings), registers) is None


def test_a_sunspec_value_is_scaled_by_its_factor() -> None:
    assert decode(point(type="int16", invalid=["lowest"]), [2305], exponent=-1) == pytest.approx(230.5)


def test_what_does_not_fit_is_told() -> None:
    with pytest.raises(ValueError, match=r"70000 does not fit uint16"):
        encode(point(type="uint16"), 70000)


@given(
    st.sampled_from(["int16", "uint16", "int32", "uint32", "int64", "uint64"]),
    st.sampled_from(["msw_first", "lsw_first"]),
    st.integers(min_value=0, max_value=2**15 - 1),
)
def test_what_was_encoded_decodes(kind: Any, order: Any, value: int) -> None:
    coded = point(type=kind, word_order=order)
    assert decode(coded, encode(coded, value)) == value


@given(
    st.floats(allow_nan=False, allow_infinity=False, width=32), st.sampled_from(["msw_first", "lsw_first"])
)
def test_a_float_survives(value: float, order: Any) -> None:
    coded = point(type="float32", word_order=order)
    assert decode(coded, encode(coded, value)) == value


def test_missing_is_shown_by_nan_or_by_the_marker() -> None:
    coded = missing(point(type="float32"))
    assert coded is not None
    assert decode(point(type="float32"), coded) is None
    assert missing(point(type="int16", invalid=["lowest"])) == [0x8000]
    assert missing(point(type="uint16")) is None
