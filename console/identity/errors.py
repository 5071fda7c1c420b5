"""Why a sign-in at an identity provider did not come about."""


class IdentityError(Exception):
    """`sentence` says to the person what happened and what to do; `reason` is a word for the audit log and the log.

    Reasons: unreachable, timeout, tls, busy, bad_answer, issuer, client, grant, token, nonce, state, denied, provider, unknown,
    no_role, taken, user, invitation, admits. The first four are about a provider that is away.
    """

    AWAY = frozenset({"unreachable", "timeout", "tls", "busy"})

    def __init__(self, reason: str, sentence: str) -> None:
        super().__init__(sentence)
        self.reason, self.sentence = reason, sentence

    @property
    def is_away(self) -> bool:
        return self.reason in self.AWAY
