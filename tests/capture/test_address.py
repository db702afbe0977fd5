"""No password is printed, however it is spelled."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.capture import redact
from stream.capture.address import Secret

PASSWORDS = ["hunter2", "p@ss/w:rd", "it's", 'say "hi', "a\\b", "näß", "50%off", "a b+c", "x@127.0.0.1:554/y", "[::1]"]


@pytest.mark.parametrize("password", PASSWORDS)
@pytest.mark.parametrize("escape", [str, lambda text: quote(text, safe="")])
def test_a_password_shows_nowhere(password: str, escape: object) -> None:
    spelled = escape(password)  # type: ignore[operator]
    url = f"rtsp://admin:{spelled}@192.168.1.9:554/h264/ch1"
    secret = Secret(url)
    error = OSError(5, "Input/output error", url)
    for text in (str(secret), repr(secret), secret.hide(str(error)), secret.hide(f"{url!r} {spelled} {password!r}")):
        for leak in {password, spelled, repr(password)[1:-1]}:
            assert leak not in text
    assert str(secret) == "rtsp://***@192.168.1.9:554/h264/ch1"
    assert secret.url == url


def test_query_values_are_hidden_too() -> None:
    secret = Secret("http://cam/video.cgi?user=bob&pwd=s3cret&channel=main#x")
    assert str(secret) == "http://cam/video.cgi?user=***&pwd=***&channel=***#x"
    assert secret.hide("login with s3cret refused; main stream") == "login with *** refused; main stream"


def test_what_has_no_secret_stays_as_it_is() -> None:
    for text in ("rtsp://cam:554/live", "/srv/films/a@b.mp4", "no address at all", "mail me@example.org"):
        assert redact(text) == text
        assert str(Secret(text)) == text


def test_several_addresses_in_one_text() -> None:
    text = "rtsp://a:b1c@h1/x failed, then rtsp://d:e2f@h2/y"
    assert redact(text) == "rtsp://***@h1/x failed, then rtsp://***@h2/y"


@given(user=st.text(min_size=1, max_size=8), password=st.text(min_size=3, max_size=12), host=st.sampled_from("ab"))
def test_any_escaped_login_is_hidden(user: str, password: str, host: str) -> None:
    spelled = quote(password, safe="")
    url = f"rtsp://{quote(user, safe='')}:{spelled}@{host}:554/"
    assert redact(f"cannot open {url}: refused") == f"cannot open rtsp://***@{host}:554/: refused"
    assert spelled not in Secret(url).hide(f"<{spelled}>")
    assert password not in Secret(url).hide(f"<{password}>").replace("*", "\0") or not password.strip("*")
