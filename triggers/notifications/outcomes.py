"""How an attempt ended: a Receipt, or NotSent."""

from dataclasses import dataclass

from clusters.registry.failures import read_wait
from clusters.registry.transport import Answer

ANSWER_LENGTH = 500  # characters of an answer that are kept
TRY_LATER = {408, 429}  # of 4xx: a further attempt can help
GONE = 410


@dataclass(frozen=True)
class Receipt:
    """The message was taken. `note` is a sentence if something about it is worth knowing."""

    status: int | None = None
    answer: str = ""
    note: str = ""


class NotSent(Exception):
    """A message did not get there. The sentence is for people. With `is_final`, no further attempt can help; with `is_gone`,
    the receiver wants nothing more, ever. `retry_after` is in seconds."""

    def __init__(
        self,
        sentence: str,
        *,
        is_final: bool = False,
        is_gone: bool = False,
        status: int | None = None,
        answer: str = "",
        retry_after: int | None = None,
    ) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.is_final, self.is_gone = is_final, is_gone
        self.status, self.answer, self.retry_after = status, answer, retry_after


def judge_answer(answer: Answer, place: str) -> Receipt:
    """Return the receipt of an answer of 2xx. Raises NotSent for any other."""
    text = clean_answer(answer.body)
    if 200 <= answer.status < 300:
        return Receipt(answer.status, text)
    sentence = f"{place} answered {answer.status}."
    if answer.status == GONE:
        sentence = f"{place} answered 410: it wants no more messages."
    elif 300 <= answer.status < 400:
        sentence = f"{place} answered {answer.status}, a redirect. Windlass follows none: enter the address that it leads to."
    raise NotSent(
        sentence,
        is_final=400 <= answer.status < 500 and answer.status not in TRY_LATER,
        is_gone=answer.status == GONE,
        status=answer.status,
        answer=text,
        retry_after=read_wait(answer.headers),
    )


def clean_answer(body: bytes) -> str:
    """Return the beginning of a receiver's answer, fit for a column and a page."""
    text = body.decode("utf-8", "replace")
    return "".join(each if each.isprintable() or each == "\n" else " " for each in text).strip()[:ANSWER_LENGTH]
