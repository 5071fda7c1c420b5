"""Why a call is not accepted: one exception, which every way into the house answers in its own form."""


class CallRefused(Exception):
    """The call is refused, and no row is made for it.

    `message` is a sentence for people, `status` the HTTP status and `code` a word for machines. `retry_after` is the number of
    seconds after which a retry makes sense; None where a retry of the same request changes nothing. `allow` lists the methods
    that are accepted, where the method is what was refused. `reason` is the word that the answer has, as for a rejected call;
    most refusals have none. `noted` says more, to those who may see the trigger and never to the caller.
    """

    status = 400
    code = "refused"
    reason = ""
    noted = ""
    allow = ""

    def __init__(
        self, message: str, *, status: int | None = None, code: str | None = None, retry_after: int | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status or self.status
        self.code = code or self.code
        self.retry_after = retry_after
