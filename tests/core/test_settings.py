"""Every setting: right, wrong, missing; for each process; on loopback and in public; from files; never shown."""

import dataclasses
import ipaddress
import os
from pathlib import Path

import pytest

from petition.core.captcha_settings import Captcha, HCaptcha
from petition.core.encryption import new_contact_pair
from petition.core.errors import SettingsError
from petition.core.limits import Limits
from petition.core.settings import Process, Settings, load
from petition.web.listeners import hosts_of

PUBLIC_KEY, PRIVATE_KEY = new_contact_pair()
SECRET = "a secret key that is long enough for everyone"
COMPLETE = {
    "DATABASE_URL": "postgresql://petition:pg-password@db.example/petition?sslmode=verify-full",
    "BASE_URL": "https://letters.example",
    "SECRET_KEY": SECRET,
    "CONTACT_PUBLIC_KEY": PUBLIC_KEY,
    "CONTACT_PRIVATE_KEY": PRIVATE_KEY,
    "SMTP_URLS": "smtps://letters:relay-password@mail.example",
    "MAIL_FROM": "letters@letters.example",
    "CONTROLLER": "A society, hello@letters.example",
    "METRICS_TOKEN": "metrics-password",
}


def public(role: Process = Process.WORKER, /, **changes: str) -> Settings:
    """Load the settings of an installation in public; an empty change takes a setting away."""
    return load({**COMPLETE, **changes}, role=role)


def test_a_loopback_installation_needs_nothing(tmp_path: Path) -> None:
    made = load({"DATA_DIR": str(tmp_path)}, role=Process.WEB)
    assert (made.base_url, made.port, made.host) == ("http://localhost:8000", 8000, "127.0.0.1")
    assert made.loopback
    assert not made.secure
    assert made.database_url is None
    assert made.captcha is Captcha.POW
    assert made.controller is None
    assert made.metrics_token is None
    assert made.onion_url is None
    assert made.trusted_proxies == ()
    assert made.limits == Limits()
    assert (made.locales_dir / "en").is_dir()


def test_the_data_go_to_a_folder_of_this_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load({}, role=Process.WEB).data_dir == tmp_path / ".petition"


def test_the_environment_is_read_where_none_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [each for each in os.environ if each in COMPLETE]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    monkeypatch.setenv("PORT", "9100")
    assert load(role=Process.WEB).base_url == "http://localhost:9100"


def test_a_public_installation_has_what_it_was_given() -> None:
    made = public()
    assert made.base_url == "https://letters.example"
    assert made.secure
    assert not made.loopback
    assert made.database_url == COMPLETE["DATABASE_URL"]
    assert made.secret_keys == (SECRET,)
    assert made.contact_public_key == PUBLIC_KEY
    assert made.contact_private_key == PRIVATE_KEY
    assert [each.host for each in made.relays] == ["mail.example"]
    assert made.mail_from == "letters@letters.example"
    assert made.controller == "A society, hello@letters.example"
    assert made.metrics_token == "metrics-password"


@pytest.mark.parametrize(
    ("role", "name"),
    [
        (Process.WEB, "SECRET_KEY"),
        (Process.WEB, "CONTACT_PUBLIC_KEY"),
        (Process.WEB, "CONTROLLER"),
        (Process.WORKER, "SECRET_KEY"),
        (Process.WORKER, "CONTACT_PUBLIC_KEY"),
        (Process.WORKER, "CONTACT_PRIVATE_KEY"),
        (Process.WORKER, "CONTROLLER"),
        (Process.WORKER, "SMTP_URLS"),
        (Process.WORKER, "MAIL_FROM"),
        (Process.TOOL, "SECRET_KEY"),
        (Process.TOOL, "CONTACT_PUBLIC_KEY"),
    ],
)
def test_in_public_nothing_is_made_up(role: Process, name: str) -> None:
    with pytest.raises(SettingsError, match=f"^{name} "):
        public(role, **{name: ""})


@pytest.mark.parametrize("role", [Process.WEB, Process.TOOL])
def test_only_the_worker_is_given_the_private_key_and_the_relays(role: Process, tmp_path: Path) -> None:
    made = public(role)
    assert made.contact_private_key is None
    assert made.relays == ()
    assert public(role, CONTACT_PRIVATE_KEY="", SMTP_URLS="", MAIL_FROM="").contact_private_key is None
    # Not even where it lies in a file.
    missing = str(tmp_path / "not for this process")
    assert public(role, CONTACT_PRIVATE_KEY="", CONTACT_PRIVATE_KEY_FILE=missing).contact_private_key is None


def test_on_loopback_only_the_worker_reads_the_private_key(tmp_path: Path) -> None:
    own = {"DATA_DIR": str(tmp_path)}
    web = load(own, role=Process.WEB)
    mail = {"SMTP_URLS": "smtp://127.0.0.1:2525", "MAIL_FROM": "letters@localhost"}
    worker = load(own | mail, role=Process.WORKER)
    assert worker.contact_public_key == web.contact_public_key
    assert worker.contact_private_key is not None
    (tmp_path / "secrets" / "contact_private_key").unlink()
    assert load(own, role=Process.WEB) == web
    with pytest.raises(SettingsError, match="private contact key"):
        load(own | mail, role=Process.WORKER)


WRONG = [
    ("PORT", "many", "PORT must be a whole number"),
    ("PORT", "-1", "PORT must be a whole number"),
    ("PORT", "65536", "PORT must be at most"),
    ("BASE_URL", "http://[::1", "BASE_URL must look like"),
    ("BASE_URL", "https://letters.example:many", "BASE_URL must look like"),
    ("BASE_URL", "https://user@letters.example", "BASE_URL must look like"),
    ("BASE_URL", "letters.example", "BASE_URL must look like"),
    ("BASE_URL", "ftp://letters.example", "BASE_URL must look like"),
    ("BASE_URL", "https://letters.example/below", "BASE_URL must be an address without"),
    ("BASE_URL", "https://letters.example/?q=1", "BASE_URL must be an address without"),
    ("ONION_URL", "abc.onion", "ONION_URL must look like"),
    ("ONION_PORT", "8001", "ONION_PORT needs ONION_URL"),
    ("ONION_PORT", "many", "ONION_PORT must be a whole number"),
    ("ONION_PORT", "0", "ONION_PORT must be between"),
    ("ONION_PORT", "65536", "ONION_PORT must be between"),
    ("ONION_PORT", "8000", "ONION_PORT must not be PORT"),
    ("SECRET_KEY", "short", "SECRET_KEY must have at least 32"),
    ("OLD_SECRET_KEYS", f"{SECRET} short", "SECRET_KEY must have at least 32"),
    ("CONTACT_PUBLIC_KEY", "xyz", "CONTACT_PUBLIC_KEY must be 64 hexadecimal"),
    ("CONTACT_PRIVATE_KEY", "12" * 31, "CONTACT_PRIVATE_KEY must be 64 hexadecimal"),
    ("CONTACT_PRIVATE_KEY", "12" * 32, "are not a pair"),
    ("SMTP_URLS", "mail.example:587", "SMTP_URLS must list addresses"),
    ("SMTP_URLS", "https://mail.example", "SMTP_URLS must list addresses"),
    ("SMTP_URLS", "smtp://mail.example:many", "SMTP_URLS has an address whose port"),
    ("SMTP_URLS", "smtps://mail.example,smtp://", "SMTP_URLS must list addresses"),
    ("SMTP_URLS", ",", "SMTP_URLS must list addresses"),
    ("SMTP_URLS", "smtps://mail.example:0", "SMTP_URLS must list addresses"),
    ("SMTP_URLS", "smtps://mail.example/inbox", "SMTP_URLS has an address with a path"),
    ("SMTP_URLS", "smtp://mail.example", "SMTP_URLS: mail would reach mail.example unencrypted"),
    ("SMTP_URLS", "smtp://u:hush@10.0.0.7:25", "SMTP_URLS: mail would reach 10.0.0.7 unencrypted"),
    ("SMTP_URLS", "smtp://u:hush@mail.example?starttls=0", "SMTP_URLS: mail would reach mail.example unencrypted"),
    ("SMTP_URLS", "smtp://mail.example?tls=1", "SMTP_URLS has an unknown parameter 'tls'; write smtps://"),
    ("SMTP_URLS", "smtp://mail.example?secure=1", "SMTP_URLS has an unknown parameter 'secure'; write smtps://"),
    ("SMTP_URLS", "smtp://mail.example?StartTLS=1", "SMTP_URLS has an unknown parameter 'StartTLS'"),
    ("SMTP_URLS", "smtp://mail.example?starttls=maybe", "SMTP_URLS: starttls must be 1 or 0, not 'maybe'"),
    ("SMTP_URLS", "smtp://mail.example?starttls=", "SMTP_URLS: starttls must be 1 or 0"),
    ("SMTP_URLS", "smtp://mail.example?starttls", "SMTP_URLS: what follows the ? must look like"),
    ("SMTP_URLS", "smtp://mail.example?starttls=1&starttls=0", "SMTP_URLS has a parameter twice"),
    ("SMTP_URLS", "smtp://mail.example?starttls=1&plain=1", "SMTP_URLS: starttls and plain contradict"),
    ("SMTP_URLS", "smtps://mail.example?starttls=1", "SMTP_URLS: smtps:// is TLS from the first byte"),
    ("SMTP_URLS", "smtp://mail.example:465?starttls=1", "SMTP_URLS: port 465 of mail.example is TLS from the first"),
    ("SMTP_URLS", "smtp://mail.example:465?plain=1", "SMTP_URLS: port 465 of mail.example is TLS from the first"),
    ("SMTP_URLS", "smtp://relay.localhost", "SMTP_URLS: mail would reach relay.localhost unencrypted"),
    ("SMTP_URLS", "smtp://mail.example.", "SMTP_URLS: mail would reach mail.example unencrypted"),
    ("SMTP_URLS", "smtp://127.1", "SMTP_URLS: mail would reach 127.1 unencrypted"),
    ("SMTP_URLS", "smtp://2130706433", "SMTP_URLS: mail would reach 2130706433 unencrypted"),
    ("SMTP_URLS", "smtp://192.168.1.1", "SMTP_URLS: mail would reach 192.168.1.1 unencrypted"),
    ("SMTP_URLS", "smtp://[fe80::1]", "SMTP_URLS: mail would reach fe80::1 unencrypted"),
    ("SMTP_URLS", "smtp://[fd00::1]", "SMTP_URLS: mail would reach fd00::1 unencrypted"),
    ("SMTP_URLS", "smtp://0.0.0.0", "SMTP_URLS: mail would reach 0.0.0.0 unencrypted"),
    ("SMTP_URLS", "smtp://ｌocalhost", "SMTP_URLS: mail would reach ｌocalhost unencrypted"),
    ("SMTP_URLS", "smtp://localhost.mail.example", "SMTP_URLS: mail would reach localhost.mail.example unencrypted"),
    ("SMTP_URLS", "smtp://mail.example\\@localhost:x", "SMTP_URLS has an address whose port"),
    ("SMTP_URLS", "smtp://%6cocalhost", "SMTP_URLS must list addresses"),
    ("SMTP_URLS", "smtp://mail..example?starttls=1", "SMTP_URLS must list addresses"),
    ("SMTP_URLS", "smtp://mail.example?starttls=1;plain=1", "SMTP_URLS: starttls must be 1 or 0"),
    ("SMTP_URLS", "smtp://mail.example?starttls=%31%30", "SMTP_URLS: starttls must be 1 or 0"),
    ("SMTP_URLS", "smtp://u:12?hush=x@mail.example", "SMTP_URLS: in user and password write ? as %3F"),
    ("SMTP_URLS", "smtp://u:pa#hush@mail.example", "SMTP_URLS has an address whose port is not a number"),
    ("MAIL_FROM", "nonsense", "MAIL_FROM must be one address"),
    ("MAIL_FROM", "a@letters.example, b@letters.example", "MAIL_FROM must be one address"),
    ("MAIL_FROM", "Letters <>", "MAIL_FROM must be one address"),
    ("MAIL_FROM", "post@письма.рф", "MAIL_FROM must have its address in ASCII"),
    ("HCAPTCHA_VERIFY_URL", "captcha.example", "HCAPTCHA_VERIFY_URL must look like"),
    ("HCAPTCHA_VERIFY_URL", "http://captcha.example/verify", "HCAPTCHA_VERIFY_URL must look like"),
    ("HCAPTCHA_VERIFY_URL", "http://captcha.localhost/verify", "HCAPTCHA_VERIFY_URL must look like"),
    ("HCAPTCHA_VERIFY_URL", "https://captcha.example/verify?sitekey=x", "HCAPTCHA_VERIFY_URL must look like"),
    ("HCAPTCHA_VERIFY_URL", "https://captcha.example/verify#x", "HCAPTCHA_VERIFY_URL must look like"),
    ("HCAPTCHA_VERIFY_URL", "https://u:p@captcha.example/verify", "HCAPTCHA_VERIFY_URL must look like"),
    ("HCAPTCHA_VERIFY_URL", "https://captcha.example:port/verify", "HCAPTCHA_VERIFY_URL must look like"),
    ("HCAPTCHA_VERIFY_URL", "https://[captcha/verify", "HCAPTCHA_VERIFY_URL must look like"),
    ("BASE_URL", "https://letters.example?plain=1", "BASE_URL must be an address without a path or parameters"),
    ("BASE_URL", "https://let ters.example", "BASE_URL must look like"),
    ("BASE_URL", "https://letters.example\\.evil.example", "BASE_URL must look like"),
    ("ONION_URL", "http://abc.onion?x=1", "ONION_URL must be an address without a path or parameters"),
    ("DATABASE_URL", "postgresql://db.example/x?sslmod=require", "DATABASE_URL has an unknown parameter 'sslmod'"),
    ("DATABASE_URL", "postgresql://db.example/x?pgbouncer=true", "DATABASE_URL has an unknown parameter 'pgbouncer'"),
    ("DATABASE_URL", "postgresql://db.example/x?sslmode=on", "DATABASE_URL: sslmode must be one of"),
    ("DATABASE_URL", "postgresql://db.example/x?sslmode=prefer", "DATABASE_URL: with sslmode=prefer names and"),
    ("DATABASE_URL", "postgresql://db.example/x?sslmode=disable", "DATABASE_URL: with sslmode=disable names and"),
    ("DATABASE_URL", "postgresql:///x?host=10.0.0.1&sslmode=allow", "DATABASE_URL: with sslmode=allow names and"),
    ("DATABASE_URL", "postgresql://db.example/x?plain=perhaps", "DATABASE_URL: plain must be 1 or 0"),
    ("DATABASE_URL", "postgresql://h/x?statement_cache_size=no", "DATABASE_URL: statement_cache_size must be"),
    ("DATABASE_URL", "postgresql://a,b/x?target_session_attrs=master", "DATABASE_URL: target_session_attrs must be"),
    ("DATABASE_URL", "postgresql://db.example/x?host=/run/postgresql", "DATABASE_URL names host or port twice"),
    ("DATABASE_URL", "postgresql://db.example/x?host=localhost", "DATABASE_URL names host or port twice"),
    ("DATABASE_URL", "postgresql://db.example/x?port=6432", "DATABASE_URL names host or port twice"),
    ("DATABASE_URL", "postgresql://localhost,db.example/x?sslmode=prefer", "DATABASE_URL: with sslmode=prefer names"),
    ("DATABASE_URL", "postgresql:///x?host=/run/x,db.example&sslmode=disable", "DATABASE_URL: with sslmode=disable"),
    ("DATABASE_URL", "postgresql://db.localhost/x?sslmode=allow", "DATABASE_URL: with sslmode=allow names and"),
    ("DATABASE_URL", "postgresql://127.1/x?sslmode=allow", "DATABASE_URL: with sslmode=allow names and"),
    ("DATABASE_URL", "postgresql:///x?service=letters", "DATABASE_URL: with service=… say sslmode=require or better"),
    ("DATABASE_URL", "postgresql://a,,b/x", "DATABASE_URL must look like"),
    ("DATABASE_URL", "postgresql://h:99999/x", "DATABASE_URL must look like"),
    ("DATABASE_URL", "postgresql://ho st/x", "DATABASE_URL must look like"),
    ("DATABASE_URL", "postgresql:///x?host=::1", "DATABASE_URL must look like"),
    ("DATABASE_URL", "postgresql:///x?port=hush", "DATABASE_URL: port (or PGPORT) must be a whole number"),
    ("DATABASE_URL", "postgresql:///x?host=a&port=1,2", "DATABASE_URL: port must name one for all hosts"),
    ("DATABASE_URL", "postgresql://u:12?hush=x@h/x", "DATABASE_URL: in user and password write ? as %3F"),
    ("CAPTCHA", "turnstile", "CAPTCHA must be pow, hcaptcha or off"),
    ("CAPTCHA", "off", "CAPTCHA=off is refused unless"),
    ("CAPTCHA", "hcaptcha", "CAPTCHA=hcaptcha needs"),
    ("TRUSTED_PROXIES", "the proxy", "TRUSTED_PROXIES: "),
    ("TRUSTED_PROXIES", "10.0.0.1/8", "TRUSTED_PROXIES: "),
    *(
        (f"LIMIT_{each.name.upper()}", "lots", f"LIMIT_{each.name.upper()} must be")
        for each in dataclasses.fields(Limits)
    ),
]


@pytest.mark.parametrize(("name", "value", "said"), WRONG)
def test_what_is_wrong_is_refused_by_name_and_secrets_are_not_repeated(name: str, value: str, said: str) -> None:
    more = {"HCAPTCHA_SITE_KEY": "s", "HCAPTCHA_SECRET_KEY": "k", "CAPTCHA": "hcaptcha"}
    with pytest.raises(SettingsError) as refused:
        public(**{name: value}, **(more if name == "HCAPTCHA_VERIFY_URL" else {}))
    assert str(refused.value).startswith(said) or said in str(refused.value)
    assert "\n" not in str(refused.value)
    if name in {"SECRET_KEY", "OLD_SECRET_KEYS", "CONTACT_PRIVATE_KEY", "SMTP_URLS"}:
        assert value not in str(refused.value)


SECRETS = ["DATABASE_URL", "SECRET_KEY", "CONTACT_PUBLIC_KEY", "CONTACT_PRIVATE_KEY", "SMTP_URLS", "METRICS_TOKEN"]


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_may_stand_in_a_file(name: str, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(f"{COMPLETE[name]}\n")
    assert public(**{name: "", f"{name}_FILE": str(file)}) == public()
    with pytest.raises(SettingsError, match=f"{name} and {name}_FILE are both set"):
        public(**{f"{name}_FILE": str(file)})
    with pytest.raises(SettingsError, match=f"{name}_FILE cannot be read: No such file"):
        public(**{name: "", f"{name}_FILE": str(tmp_path / "nothing")})


def test_the_old_keys_and_hcaptchas_may_stand_in_files_too(tmp_path: Path) -> None:
    older, oldest, other = ("older" * 8), ("oldest" * 8), tmp_path / "hcaptcha"
    file = tmp_path / "old"
    file.write_text(f"{older}\n{oldest}\n")
    other.write_text("hcaptcha-password")
    made = public(
        OLD_SECRET_KEYS_FILE=str(file),
        CAPTCHA="hcaptcha",
        HCAPTCHA_SITE_KEY="site-key",
        HCAPTCHA_SECRET_KEY_FILE=str(other),
    )
    assert made.secret_keys == (SECRET, older, oldest)
    assert made.hcaptcha is not None
    assert made.hcaptcha.secret_key == "hcaptcha-password"


def test_nothing_secret_shows() -> None:
    made = public(
        OLD_SECRET_KEYS="another old secret, also long enough, ".replace(" ", "-"),
        CAPTCHA="hcaptcha",
        HCAPTCHA_SITE_KEY="site-key",
        HCAPTCHA_SECRET_KEY="hcaptcha-password",
    )
    for shown in (repr(made), str(made), repr(made.relays), repr(made.hcaptcha)):
        for secret in ("password", SECRET, "another-old", PRIVATE_KEY):
            assert secret not in shown


def test_hcaptcha_asks_where_it_is_told() -> None:
    keys = {"CAPTCHA": "hcaptcha", "HCAPTCHA_SITE_KEY": "site-key", "HCAPTCHA_SECRET_KEY": "secret"}
    made = public(**keys, HCAPTCHA_VERIFY_URL="http://127.0.0.1:9/verify").hcaptcha
    assert made == HCaptcha("site-key", "secret", "http://127.0.0.1:9/verify")
    unset = public(**keys).hcaptcha
    assert unset is not None
    assert unset.verify_url.startswith("https://api.hcaptcha.com/")
    assert public(HCAPTCHA_SITE_KEY="site-key").hcaptcha is None


def test_limits_are_set_one_by_one() -> None:
    names = [each.name for each in dataclasses.fields(Limits)]
    made = public(**{f"LIMIT_{name.upper()}": str(number) for number, name in enumerate(names, 7)})
    assert made.limits == Limits(**{name: number for number, name in enumerate(names, 7)})


def test_proxies_are_networks() -> None:
    made = public(TRUSTED_PROXIES="127.0.0.1, 10.0.0.0/8,fd00::/8,")
    assert made.trusted_proxies == tuple(ipaddress.ip_network(each) for each in ("127.0.0.1", "10.0.0.0/8", "fd00::/8"))


def test_relays_come_in_order() -> None:
    made = public(SMTP_URLS="smtps://one.example, smtp://two.example:587?starttls=1,")
    assert [each.host for each in made.relays] == ["one.example", "two.example"]


def test_the_port_of_the_command_line_comes_first_and_makes_the_address(tmp_path: Path) -> None:
    made = load({"DATA_DIR": str(tmp_path), "PORT": "8001"}, role=Process.WEB, port=9001)
    assert (made.port, made.base_url) == (9001, "http://localhost:9001")
    kept = load({"DATA_DIR": str(tmp_path), "BASE_URL": "http://LocalHost:8000/"}, role=Process.WEB, port=9001)
    assert (kept.port, kept.base_url) == (9001, "http://localhost:8000")


@pytest.mark.parametrize(
    ("url", "base_url"),
    [
        ("https://Letters.Example:443/", "https://letters.example"),
        ("http://letters.example:80", "http://letters.example"),
        ("https://letters.example:80", "https://letters.example:80"),
        ("https://письма.рф", "https://xn--80apmkl0e.xn--p1ai"),
        ("http://[2001:DB8::1]:8080", "http://[2001:db8::1]:8080"),
    ],
)
def test_the_public_address_is_written_as_browsers_do(url: str, base_url: str) -> None:
    made = public(BASE_URL=url)
    assert made.base_url == base_url
    assert made.origins == {base_url}
    assert base_url.split("//")[1].encode() in hosts_of(made.origins)


def test_a_host_may_name_the_usual_port() -> None:
    assert hosts_of(["https://letters.example"]) == {b"letters.example", b"letters.example:443"}
    assert hosts_of(["https://letters.example:8443"]) == {b"letters.example:8443"}


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:p@one.example,two.example:5433/name?target_session_attrs=any",
        "postgres://petition@/petition?host=/run/x&port=5432",
        "postgresql:///petition",
        "postgresql://u:p@rt@[::1]:5432/name",
    ],
)
def test_addresses_of_databases(url: str) -> None:
    assert public(DATABASE_URL=url).database_url == url


def test_a_password_in_a_public_address_is_not_repeated() -> None:
    for name in ("BASE_URL", "ONION_URL"):
        for url in ("https://u:hush@letters.example", "https://letters.example/?token=hush@x", "https://u:hush@[x"):
            with pytest.raises(SettingsError, match=f"^{name} must") as refused:
                public(**{name: url})
            assert "hush" not in str(refused.value)


@pytest.mark.parametrize("sender", ["Letters <post@letters.example>", "post@letters.example", '"A, B" <p@x.example>'])
def test_senders(sender: str) -> None:
    assert public(MAIL_FROM=sender).mail_from == sender


@pytest.mark.parametrize(
    "url", ["letters", "mysql://u:hush@h/x", "postgresql://u:hush@h:port/x", "postgresql://h:1:2/x"]
)
def test_what_is_no_address_of_a_database_is_told_without_its_password(url: str) -> None:
    with pytest.raises(SettingsError, match="DATABASE_URL must look like") as refused:
        public(DATABASE_URL=url)
    assert "hush" not in str(refused.value)


def test_a_file_that_is_no_text_is_no_secret(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"\xff" * 40)
    with pytest.raises(SettingsError, match="METRICS_TOKEN_FILE"):
        public(METRICS_TOKEN_FILE=str(tmp_path / "key"))


def test_captcha_may_be_off_on_loopback(tmp_path: Path) -> None:
    assert load({"DATA_DIR": str(tmp_path), "CAPTCHA": "off"}, role=Process.WEB).captcha is Captcha.OFF


def test_settings_do_not_change() -> None:
    made = public()
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.port = 1  # type: ignore[misc]
