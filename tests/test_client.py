from __future__ import annotations

import pytest

from publisher.errors import NetworkError, UsageError
from publisher.netlify.client import Netlify, Settings
from publisher.web import Web
from tests.scripted import OK, answer, scripted

HOOK = "https://api.netlify.com/build_hooks/0123456789abcdef01234567"


def netlify(url: str) -> Netlify:
    """Return a client of a scripted server."""
    environment = {
        "NETLIFY_API_URL": url,
        "NETLIFY_AUTH_TOKEN": "canary-token",
        "NETLIFY_BUILD_HOOK": f"{url}/build_hooks/0123456789abcdef01234567",
    }
    return Netlify(Settings.of("demo", environment), Web(attempts=2, read_timeout=20.0))


@pytest.mark.parametrize(
    "hook",
    [
        "http://api.netlify.com/build_hooks/0123456789abcdef01234567",
        "https://evil.example/build_hooks/0123456789abcdef01234567",
        "https://api.netlify.com/build_hooks/short",
        "https://api.netlify.com:8443/build_hooks/0123456789abcdef01234567",
        "https://u:p@api.netlify.com/build_hooks/0123456789abcdef01234567",
        f"{HOOK}?x=1",
        f"{HOOK}/../sites",
        "nonsense",
        "https://api.netlify.com:no/",
        "http://127.0.0.1/build_hooks/0123456789abcdef01234567",
    ],
)
def test_what_is_no_build_hook_is_refused_unseen(hook: str) -> None:
    """An address that is not Netlify's hook is never called and never shown."""
    with pytest.raises(UsageError) as caught:
        Settings.of("demo", {"NETLIFY_BUILD_HOOK": hook})
    assert hook not in caught.value.message


def test_netlifys_own_hook_is_accepted() -> None:
    """The documented form passes."""
    assert Settings.of("demo", {"NETLIFY_BUILD_HOOK": HOOK}).hook


def test_the_api_must_be_https_or_on_this_machine() -> None:
    """A token is not sent in the clear to another machine."""
    with pytest.raises(UsageError, match="https"):
        Settings.of("demo", {"NETLIFY_API_URL": "http://netlify.example"})


def test_addresses_on_netlify_and_on_this_machine() -> None:
    """A branch's address stands before the site's, with the local host's port."""
    assert Settings.of("demo", {}).address_of("snapshot-1") == "https://snapshot-1--demo.netlify.app"
    local = Settings.of("demo", {"NETLIFY_API_URL": "http://127.0.0.1:8888"})
    assert local.address_of("snapshot-1") == "http://snapshot-1--demo.localhost:8888"


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (answer(404), "does not exist any more"),
        (answer(302, Location="http://127.0.0.1:1/"), "redirect"),
        (answer(400), "answered 400"),
    ],
)
def test_a_hook_that_refuses_says_why(step: bytes, words: str) -> None:
    """Each refusal of the hook has its own sentence, without the hook."""
    with scripted(step) as server, pytest.raises(NetworkError, match=words) as caught:
        netlify(server.url).call_hook("snapshot-1", "title")
    assert not caught.value.ambiguous
    assert "0123456789abcdef01234567" not in caught.value.message + caught.value.hint


def test_a_hook_gets_branch_and_title() -> None:
    """The call carries what the documentation names."""
    with scripted(OK) as server:
        netlify(server.url).call_hook("snapshot-1", "a b")
    assert "trigger_branch=snapshot-1&trigger_title=a+b" in server.asked[0]


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"id": 3}', b'{"nope": 1}', b""])
def test_an_answer_that_does_not_fit_is_not_believed(body: bytes) -> None:
    """Whatever is not the documented JSON is a network error, not a traceback."""
    with scripted(answer(200, body)) as server, pytest.raises(NetworkError, match="cannot be understood"):
        netlify(server.url).site()


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_token_is_not_shown(status: int) -> None:
    """The message says what to do and not what the token was."""
    with scripted(answer(status)) as server, pytest.raises(NetworkError, match="refused the token") as caught:
        netlify(server.url).site()
    assert "canary-token" not in str(caught.value)


def test_the_apis_own_message_is_passed_on_in_one_line() -> None:
    """What Netlify says of an error reaches the user, cut and flattened."""
    body = b'{"code": 422, "message": "cannot\\nrestore"}'
    with scripted(answer(422, body)) as server, pytest.raises(NetworkError, match="cannot restore") as caught:
        netlify(server.url).restore("abc")
    assert caught.value.status == 422


@pytest.mark.parametrize("deploy_id", ["../sites", "a/b", "", "a?b"])
def test_an_id_cannot_leave_its_place_in_the_path(deploy_id: str) -> None:
    """An id from outside is checked before it becomes part of an address."""
    with scripted(OK) as server, pytest.raises(NetworkError, match="is not an id"):
        netlify(server.url).deploy(deploy_id)
    assert server.asked == []


@pytest.mark.parametrize(
    "url",
    ["https://[::1", "https://host:99999", "https://me:pass@api.netlify.com", "https://a\\@b", "ftp://x", "http://x.y"],
)
def test_a_malformed_api_address_is_a_usage_error(url: str) -> None:
    """An API address that secrets must not be sent to is exit code 2, and says what to set."""
    with pytest.raises(UsageError, match="NETLIFY_API_URL") as caught:
        Settings.of("demo", {"NETLIFY_API_URL": url})
    assert "pass" not in caught.value.message


@pytest.mark.parametrize("token", ["secret-\u20ac", "secret-\u00e9", "secret-\n-x", "secret-\x1b"])
def test_a_token_of_impossible_characters_is_a_usage_error(token: str) -> None:
    """A token that no header can carry is refused, without being shown."""
    with pytest.raises(UsageError, match="NETLIFY_AUTH_TOKEN") as caught:
        Settings.of("demo", {"NETLIFY_AUTH_TOKEN": token})
    assert "secret" not in caught.value.message.replace("it is a secret", "")


def test_an_api_that_repeats_the_token_is_not_repeated() -> None:
    """What the API says of an error comes without the token that it was sent."""
    body = b'{"message": "bad token nfp_0123456789 here"}'
    with scripted(answer(422, body)) as server:
        environment = {"NETLIFY_API_URL": server.url, "NETLIFY_AUTH_TOKEN": "nfp_0123456789"}
        with pytest.raises(NetworkError, match="bad token") as caught:
            Netlify(Settings.of("demo", environment), Web(attempts=1)).site()
    assert "nfp_0123456789" not in caught.value.message
