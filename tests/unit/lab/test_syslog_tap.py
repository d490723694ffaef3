"""Lines of syslog, as the lab keeps them."""

import pytest

from kadeploy_lab.syslog_tap import readable


@pytest.mark.parametrize(
    ("datagram", "line"),
    [
        (b"<30>Nov 22 21:17:57 in.tftpd[9]: RRQ from a\n\0", "in.tftpd[9]: RRQ from a"),
        (b"<30>Nov  2 01:07:57 in.tftpd[9]: RRQ from a", "in.tftpd[9]: RRQ from a"),
        (b"no prefix at all", "no prefix at all"),
        (b"<30>\xff", "\N{REPLACEMENT CHARACTER}"),
    ],
)
def test_a_syslog_line_loses_its_priority_and_date(datagram: bytes, line: str) -> None:
    assert readable(datagram) == line
