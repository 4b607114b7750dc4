"""The only package that opens sockets: timeouts on everything, careful retries, capped bodies, nothing secret said.

`client` sends one request and returns its whole answer, `download` fetches a large file, `deadline` ends a connection
that drips, and `pauses` says how long a server asks to be left alone.
"""

from publisher.address import host_of, is_loopback
from publisher.web.client import READ_TIMEOUT, Answer, Web
from publisher.web.download import download
from publisher.web.pauses import http_date

__all__ = ["READ_TIMEOUT", "Answer", "Web", "download", "host_of", "http_date", "is_loopback"]
