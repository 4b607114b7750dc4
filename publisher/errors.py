"""Every error that a user can see.

Split by who can fix it; each class owns its exit code (see README, "Exit codes"):

    PublisherError
    ├── UsageError                  2   the command line: an unknown revision, not a repository, a missing file
    ├── ConfigError                 2   publisher.toml: all its mistakes at once
    ├── SuiteError                  2   a suite file: duplicate ids, missing answers, control characters
    ├── OutOfTimeError              4   a run has used up the minutes of its tier, and nothing is decided
    ├── GitError                    3   git failed
    │   ├── LostRaceError           3   a ref moved while we were working; fetch, re-apply and try again
    │   └── RemoteRejectedError     3   a rule of the remote rejects a push: a hook, a protected branch, a setting
    ├── NetworkError                3   an HTTP request failed, or its answer cannot be believed
    ├── ModelError                  3   a model file or the engine that runs it
    │   └── ModelSourceError        2   a model that publisher.toml names wrongly, or that is not where it says
    ├── GraderError                 3   a grader failed; never counted as a wrong answer
    ├── StorageError                3   a disk, a store, or a stored file with another schema version
    └── DeployError                 3   a build failed, or the deploy does not serve what was rendered

The command line turns `KeyboardInterrupt` and SIGTERM into exit code 130, and any other exception into 3. A verdict of
`rejected` or `inconclusive` is a result, not an error: exit codes 1 and 4.
"""

from __future__ import annotations

from typing import ClassVar


class PublisherError(Exception):
    """An expected failure: one message that names what and where, and a hint that says what to type next."""

    exit_code: ClassVar[int] = 3

    def __init__(self, message: str, *, hint: str = "", detail: str = "") -> None:
        """Keep the message, the hint (a command or an edit) and the detail (a log to be shown indented)."""
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.detail = detail


class UsageError(PublisherError):
    """The command line names something that is not there, or that the command cannot work on."""

    exit_code = 2


class ConfigError(PublisherError):
    """`publisher.toml` has mistakes; the message lists every one."""

    exit_code = 2


class SuiteError(PublisherError):
    """A suite file cannot be used as a benchmark."""

    exit_code = 2


class OutOfTimeError(PublisherError):
    """A run has used up the minutes of its tier; what it has generated stays, and the same command continues."""

    exit_code = 4


class GitError(PublisherError):
    """A git command failed."""


class LostRaceError(GitError):
    """A ref was moved by somebody else between our reading and our writing it."""


class RemoteRejectedError(GitError):
    """A rule of the remote rejects a push, so that trying again cannot help; `reason` is the remote's own word."""

    def __init__(self, message: str, *, hint: str = "", detail: str = "", reason: str = "") -> None:
        """Keep the remote's reason, such as `non-fast-forward` or `pre-receive hook declined`."""
        super().__init__(message, hint=hint, detail=detail)
        self.reason = reason


class NetworkError(PublisherError):
    """An HTTP request failed, or its answer cannot be believed.

    `ambiguous` is true when the request may have had its effect although no good answer came back (a timeout, a reset
    or a 5xx after sending): the caller must look before it sends again. `retry_after` are the seconds that the
    server asked to wait, None where it asked for none.
    """

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        detail: str = "",
        status: int | None = None,
        ambiguous: bool = False,
        retry_after: float | None = None,
    ) -> None:
        """Keep the HTTP status (None where no answer came) and whether the effect is in doubt."""
        super().__init__(message, hint=hint, detail=detail)
        self.status = status
        self.ambiguous = ambiguous
        self.retry_after = retry_after


class ModelError(PublisherError):
    """A model could not be fetched, checked, loaded or run."""


class ModelSourceError(ModelError):
    """A model that is not where publisher.toml says, or not the one whose digest it has: the file is to be edited."""

    exit_code = 2


class GraderError(PublisherError):
    """A grader failed; the samples it could not score are `error`, never wrong."""


class StorageError(PublisherError):
    """Something could not be stored or read back: a full disk, a broken file, another schema version."""


class DeployError(PublisherError):
    """A deploy failed to build, or does not serve exactly what was rendered."""
