"""What is wrong with a station as a whole: its EVerest configuration and its site files together."""

from hil.check.remarks import Remark
from hil.check.site_file import site_remarks
from hil.check.station import check_station

__all__ = ["Remark", "check_station", "site_remarks"]
