"""What is wrong with a station as a whole: its EVerest configuration and its site files together."""

from hil.check.remarks import Remark
from hil.check.station import check_station

__all__ = ["Remark", "check_station"]
