"""What ssh says, as a sentence with what to do. The texts are those of OpenSSH 9.2."""

import pytest

from clusters.engine.connection.ssh_failures import explain_ssh

CHANGED = """@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
IT IS POSSIBLE THAT SOMEONE IS DOING SOMETHING NASTY!
Host key for build has changed and you have requested strict checking.
Host key verification failed.
"""


@pytest.mark.parametrize(
    ("said", "url", "words"),
    [
        (CHANGED, "ssh://me@build", "another one than the one in known_hosts"),
        (CHANGED, "ssh://me@build", "ssh-keygen -R 'build',"),
        (CHANGED, "ssh://me@build:2222", "ssh-keygen -R '[build]:2222',"),
        (
            "Host key verification failed.\r\n",
            "ssh://me@build",
            "is not known. As the console's user, run ssh-keyscan -p 22 ",
        ),
        ("me@build: Permission denied (publickey).\r\n", "ssh://me@build", "by ssh: me@build: Permission denied (publickey)."),
        (
            "kex_exchange_identification: Connection closed by remote host\r\nConnection closed by 10.0.0.1 port 22\r\n",
            "ssh://build",
            "by ssh: Connection closed by 10.0.0.1 port 22. If this happens under load, raise MaxStartups",
        ),
        ("", "ssh://build", "by ssh: ssh gave no reason."),
    ],
)
def test_words_become_a_sentence(said, url, words):
    sentence = explain_ssh(said, url, "The engine at build")
    assert sentence.startswith("The engine at build cannot be reached by ssh: ")
    assert words in sentence
    assert "\n" not in sentence
