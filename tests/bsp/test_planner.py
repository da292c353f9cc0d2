"""How points become requests."""

from hypothesis import given
from hypothesis import strategies as st

from bsp.device import Block, plan
from bsp.profile import meter_profile
from bsp.registers import Point


def points(*spans: tuple[int, int], table: str = "holding") -> dict[str, Point]:
    sizes = {1: "uint16", 2: "uint32", 4: "uint64"}
    return {f"p{at}": Point(address=at, type=sizes[count], table=table) for at, count in spans}  # type: ignore[arg-type]


def test_contiguous_points_are_one_request() -> None:
    assert plan(points((0, 2), (2, 2), (4, 1)), max_count=125, max_gap=0) == [
        Block("holding", 0, 5, ("p0", "p2", "p4"))
    ]


def test_a_small_gap_is_read_over_and_a_large_one_is_not() -> None:
    blocks = plan(points((0, 2), (4, 2), (40, 2)), max_count=125, max_gap=2)
    assert [(block.address, block.count) for block in blocks] == [(0, 6), (40, 2)]


def test_no_request_is_longer_than_the_device_takes() -> None:
    blocks = plan(points((0, 2), (2, 2), (4, 2)), max_count=4, max_gap=10)
    assert [(block.address, block.count) for block in blocks] == [(0, 4), (4, 2)]


def test_tables_are_never_mixed() -> None:
    mixed = points((0, 1)) | {"input": Point(address=1, type="uint16", table="input")}
    assert len(plan(mixed, max_count=125, max_gap=10)) == 2


def test_a_full_reading_of_an_sdm630_takes_at_most_three_requests() -> None:
    profile = meter_profile("eastron_sdm630")
    blocks = plan(profile.points, max_count=profile.max_registers_per_read, max_gap=profile.max_gap)
    assert len(blocks) <= 3


@given(
    st.lists(st.tuples(st.integers(0, 300), st.sampled_from([1, 2, 4])), min_size=1, max_size=30),
    st.integers(4, 125),
    st.integers(0, 30),
)
def test_every_point_is_read_once_and_whole(
    spans: list[tuple[int, int]], max_count: int, max_gap: int
) -> None:
    wanted = points(*spans)
    blocks = plan(wanted, max_count=max_count, max_gap=max_gap)
    assert sorted(name for block in blocks for name in block.points) == sorted(wanted)
    for block in blocks:
        assert block.count <= max_count
        for name in block.points:
            point = wanted[name]
            assert block.address <= point.address
            assert point.address + point.count <= block.address + block.count
