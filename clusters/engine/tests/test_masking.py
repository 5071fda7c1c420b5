import pytest

from clusters.engine.masking import MASK, Masker, Setting, is_secret_setting, mask_text


@pytest.mark.parametrize(
    "name",
    [
        "POSTGRES_PASSWORD",
        "MYSQL_PWD",
        "db.passwd",
        "GPG_PASSPHRASE",
        "DB_PASS",
        "dbPassword",
        "SECRET_KEY",
        "ClientSecret",
        "API_KEY",
        "APIKEY",
        "AWS_ACCESS_KEY_ID",
        "KEY1",
        "GITHUB_TOKEN",
        "GOOGLE_CREDENTIALS",
        "BASIC_AUTH",
        "OAUTH_ID",
        "Authorization",
        "SENTRY_DSN",
        "TLS_PRIVATE",
        "SESSION_COOKIE",
        "SLACK_WEBHOOK",
        "CONNECTION_STRING",
        "ConnectionString",
    ],
)
def test_a_name_makes_its_value_secret(name):
    assert is_secret_setting(name)


@pytest.mark.parametrize(
    "name", ["PATH", "PWD", "OLDPWD", "KEYCLOAK_URL", "org.opencontainers.image.authors", "COMPASS", "PASSENGER", "LANG", ""]
)
def test_other_names_do_not_make_a_value_secret(name):
    assert not is_secret_setting(name)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgres://shop:s3cret@db:5432/shop?sslmode=on", f"postgres://shop:{MASK}@db:5432/shop?sslmode=on"),
        ("redis://:p@ss/w:rd@cache", f"redis://:{MASK}@cache"),
        ("ssh://git@host/x http://host:80/path", "ssh://git@host/x http://host:80/path"),
        ("mysqld --password=abc --user=shop", f"mysqld --password={MASK} --user=shop"),
        ("curl --token abc https://api/?api_key=abc&page=1", f"curl --token {MASK} https://api/?api_key={MASK}&page=1"),
        ("PGPASSWORD='a b' psql", f"PGPASSWORD={MASK} psql"),
        ("Server=db;Password=abc;User=shop", f"Server=db;Password={MASK};User=shop"),
        ('{"password": "abc", "user": "shop"}', f'{{"password": {MASK}, "user": "shop"}}'),
        ("Authorization: Bearer abcdefgh", f"Authorization: {MASK}"),
        ("x ghp_abcdefghijklmnopqrstuvwxyz0123456789 y", f"x {MASK} y"),
        (f"x wl_{'0f' * 32} y", f"x {MASK} y"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----", MASK),
        ("--password-file=/run/db --auth=false --token --verbose", "--password-file=/run/db --auth=false --token --verbose"),
        ("the password is long", "the password is long"),
    ],
)  # fmt: skip
def test_a_text_is_shown_without_its_secrets(text, shown):
    assert mask_text(text) == shown


def test_a_variable_is_masked_whole_or_in_part_and_revealed_as_it_is():
    variables = [("DB_PASSWORD", "s3cret"), ("DB_URL", "pg://shop:s3cret@db/x"), ("DEBUG", "on"), ("AUTH", "true")]
    masker, revealing = Masker(variables), Masker(variables, revealed=True)
    assert [masker.read_setting(*variable) for variable in variables] == [
        Setting("DB_PASSWORD", MASK, True),
        Setting("DB_URL", f"pg://shop:{MASK}@db/x", True),
        Setting("DEBUG", "on"),
        Setting("AUTH", "true"),
    ]
    assert [(s.value, s.is_secret) for s in (revealing.read_setting(*variable) for variable in variables)] == [
        ("s3cret", True),
        ("pg://shop:s3cret@db/x", True),
        ("on", False),
        ("true", False),
    ]
    assert masker.count == revealing.count == 2


def test_a_secret_of_the_environment_is_masked_wherever_it_stands():
    masker = Masker([("REDIS_PASSWORD", "hunter22"), ("DATABASE_URL", "pg://shop:topsecret@db")])
    assert masker.read_arguments(["redis-cli", "-a", "hunter22", "ping"]) == f"redis-cli -a {MASK} ping"
    assert masker.read_text("auth failed for topsecret") == f"auth failed for {MASK}"
    assert masker.read_setting("OPTIONS", "-a hunter22").value == f"-a {MASK}"


def test_a_short_secret_is_not_masked_in_other_texts():
    assert Masker([("PIN_PASSWORD", "e")]).read_text("everywhere") == "everywhere"


def test_arguments_are_written_as_for_a_shell():
    masker = Masker()
    assert masker.read_arguments(["sh", "-c", "trap 'exit 0' TERM; echo $A", "a b", ""]) == (
        """sh -c "trap 'exit 0' TERM; echo \\$A" 'a b' \'\'"""
    )
    assert masker.read_arguments(["x", "--password", "a b", "--level", "1"]) == f"x --password {MASK} --level 1"
    assert masker.read_arguments(["--token", "--verbose"]) == "--token --verbose"


def test_no_cut_goes_through_a_secret_that_is_shown():
    text = "x" * 2000 + " pg://shop:" + "s" * 3000 + "@db"
    shown = Masker().read_text(text)
    assert len(shown) <= 2048
    assert "ss" not in shown


def test_control_characters_are_left_out_and_lines_are_kept():
    assert Masker().read_text("a\x1b[31mb\r\nc\td\x00\x07") == "a[31mb\nc\td"
