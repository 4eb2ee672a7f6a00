//! Who takes our mail: embedded, or a relay with its security and login.
//!
//! Belongs here: reading `--smtp` and the `EMAIL_…` variables. Does not belong here: SMTP (email).

use super::sources::{Sources, wrong};
use super::{Args, ConfigError, without_secret};
use crate::email::message::is_address;
use std::path::PathBuf;
use std::time::Duration;
use url::Url;

/// Where mail is handed in for sending on (RFC 6409).
const PORT_SUBMISSION: u16 = 587;
/// The same, with TLS from the first byte (RFC 8314).
const PORT_TLS: u16 = 465;
/// Between relays, without a login.
const PORT_PLAIN: u16 = 25;
/// What mails come from where nothing is set.
const SENDER_DEFAULT: &str = "notifications@flowreel.local";

/// Who takes our mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Relay {
    Embedded,
    Remote(RemoteRelay),
}

/// A relay outside this program.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct RemoteRelay {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) security: Security,
    pub(crate) login: Option<Login>,
    /// Certificates trusted beside the system's (PEM).
    pub(crate) ca_file: Option<PathBuf>,
    /// The address in `From:`.
    pub(crate) sender: String,
    /// Longest time for one mail, with its connection.
    pub(crate) timeout: Duration,
}

/// How the conversation is kept secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Security {
    /// Not at all: for relays on this machine or a trusted network.
    Plain,
    /// By `STARTTLS` before anything is said; a relay that does not offer it gets no mail.
    StartTls,
    /// From the first byte.
    Tls,
}

/// User and password at the relay.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Login {
    pub(crate) user: String,
    pub(crate) password: String,
}

impl std::fmt::Debug for RemoteRelay {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            host,
            port,
            security,
            login,
            ..
        } = self;
        let login = if login.is_some() { "***@" } else { "" };
        write!(formatter, "{security:?} {login}{host}:{port}")
    }
}

impl Relay {
    pub(super) fn read(args: &Args, sources: &Sources<'_>) -> Result<Self, ConfigError> {
        let said = sources.said(args.smtp.as_deref(), &["FLOWREEL_SMTP"]);
        let named = said
            .map(Named::Url)
            .or_else(|| sources.said(None, &["EMAIL_HOST"]).map(Named::Host))
            .or_else(|| sources.kept("smtp").map(Named::Url))
            .or_else(|| sources.kept("email_host").map(Named::Host));
        match named {
            Some(Named::Url(url)) if url == "embedded" => Ok(Self::Embedded),
            Some(Named::Url(url)) => of_url(&url, sources).map(Self::Remote),
            Some(Named::Host(host)) => of_host(host, sources).map(Self::Remote),
            None => Ok(Self::Embedded),
        }
    }
}

/// The two ways to name a relay; the first that is found counts.
enum Named {
    Url(String),
    Host(String),
}

/// `EMAIL_HOST` with its port: a public relay, so never without TLS.
fn of_host(host: String, sources: &Sources<'_>) -> Result<RemoteRelay, ConfigError> {
    if host.is_empty() || host.contains(['/', '@', ':', ' ']) {
        let wanted = "the name of a mail server, such as smtp.gmail.com";
        return Err(wrong(
            &["EMAIL_HOST"],
            "email_host",
            &without_secret(&host),
            wanted,
        ));
    }
    let whole = sources.whole(
        None,
        &["EMAIL_PORT"],
        "email_port",
        1..=65_535,
        u64::from(PORT_SUBMISSION),
    )?;
    let port = u16::try_from(whole).unwrap_or(PORT_SUBMISSION);
    let security = if port == PORT_TLS {
        Security::Tls
    } else {
        Security::StartTls
    };
    relay(host, port, security, None, sources)
}

/// `smtp://HOST:PORT` without TLS, `smtp+starttls://` and `smtps://` with it.
fn of_url(text: &str, sources: &Sources<'_>) -> Result<RemoteRelay, ConfigError> {
    let refused = || {
        let shown = without_secret(text);
        ConfigError(format!(
            "the mail relay `{shown}` cannot be read; write embedded, smtp://HOST:PORT, smtp+starttls://USER:PASSWORD@HOST:PORT or smtps://USER:PASSWORD@HOST:PORT"
        ))
    };
    let url = Url::parse(text).map_err(|_unreadable| refused())?;
    let (security, default_port) = match url.scheme() {
        "smtp" => (Security::Plain, PORT_PLAIN),
        "smtp+starttls" => (Security::StartTls, PORT_SUBMISSION),
        "smtps" => (Security::Tls, PORT_TLS),
        _ => return Err(refused()),
    };
    let host = url.host_str().filter(|host| !host.is_empty());
    let host = host.ok_or_else(refused)?.trim_matches(['[', ']']);
    if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
        return Err(refused());
    }
    let decoded = |text: &str| percent_decoded(text).ok_or_else(refused);
    let login = match (url.username(), url.password()) {
        ("", None) => None,
        (user, Some(password)) if !user.is_empty() => Some(Login {
            user: decoded(user)?,
            password: decoded(password)?,
        }),
        _ => return Err(refused()),
    };
    let port = url.port().unwrap_or(default_port);
    relay(host.to_owned(), port, security, login, sources)
}

fn relay(
    host: String,
    port: u16,
    security: Security,
    login: Option<Login>,
    sources: &Sources<'_>,
) -> Result<RemoteRelay, ConfigError> {
    let user = sources.text(None, &["EMAIL_USER"], "email_user")?;
    let password = sources.text(None, &["EMAIL_PASSWORD"], "email_password")?;
    let login = match (login, user, password) {
        (Some(login), _, _) => Some(login),
        (None, None, None) => None,
        (None, Some(user), Some(password)) => Some(Login { user, password }),
        (None, _, _) => {
            return Err(ConfigError(
                "EMAIL_USER and EMAIL_PASSWORD belong together; set both or neither".to_owned(),
            ));
        }
    };
    let is_local = matches!(host.as_str(), "localhost" | "127.0.0.1" | "::1");
    if login.is_some() && security == Security::Plain && !is_local {
        return Err(ConfigError(format!(
            "a password for the mail relay {host} would travel readable by all; write smtps:// or smtp+starttls://"
        )));
    }
    let sender = sources.text(None, &["EMAIL_FROM"], "email_from")?;
    let sender = match (sender, &login) {
        (Some(sender), _) => sender,
        (None, Some(login)) if is_address(&login.user) => login.user.clone(),
        (None, _) => SENDER_DEFAULT.to_owned(),
    };
    if !is_address(&sender) {
        return Err(wrong(&["EMAIL_FROM"], "email_from", &sender, "one address"));
    }
    let timeout_ms = sources.whole(
        None,
        &["EMAIL_TIMEOUT"],
        "email_timeout",
        100..=600_000,
        20_000,
    )?;
    Ok(RemoteRelay {
        host,
        port,
        security,
        login,
        ca_file: sources
            .text(None, &["EMAIL_CA_FILE"], "email_ca_file")?
            .map(PathBuf::from),
        sender,
        timeout: Duration::from_millis(timeout_ms),
    })
}

impl RemoteRelay {
    /// The relay in this process.
    pub(crate) fn embedded(port: u16) -> Self {
        Self {
            host: "127.0.0.1".to_owned(),
            port,
            security: Security::Plain,
            login: None,
            ca_file: None,
            sender: SENDER_DEFAULT.to_owned(),
            timeout: Duration::from_secs(20),
        }
    }
}

/// `%40` as `@`; `None` where it is no UTF-8 or a sign lacks its digits.
fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || char::from(rest.next()?).to_digit(16);
        let (high, low) = (digit()?, digit()?);
        bytes.push(u8::try_from(high * 16 + low).ok()?);
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::super::{Environment, Settings};
    use super::*;
    use clap::Parser;

    fn read(flag: Option<&str>, environment: &[(&str, &str)]) -> Result<Relay, String> {
        let flags = flag.map(|value| ["--smtp", value]);
        let args = std::iter::once("flowreel-live").chain(flags.into_iter().flatten());
        let args = Args::try_parse_from(args).map_err(|error| error.to_string())?;
        Settings::read(&args, &Environment::of(environment))
            .map(|settings| settings.relay)
            .map_err(|error| error.to_string())
    }

    fn remote(flag: Option<&str>, environment: &[(&str, &str)]) -> RemoteRelay {
        match read(flag, environment).unwrap() {
            Relay::Remote(relay) => relay,
            Relay::Embedded => panic!("{flag:?} is no embedded relay"),
        }
    }

    #[test]
    fn without_a_host_mail_stays_here() {
        assert_eq!(read(None, &[]).unwrap(), Relay::Embedded);
        let set = [("EMAIL_HOST", "smtp.gmail.com")];
        assert_eq!(read(Some("embedded"), &set).unwrap(), Relay::Embedded);
    }

    #[test]
    fn a_public_host_is_spoken_to_by_tls_with_its_login() {
        let set = [
            ("EMAIL_HOST", "smtp.gmail.com"),
            ("EMAIL_USER", "ada@example.org"),
            ("EMAIL_PASSWORD", "p w"),
        ];
        let relay = remote(None, &set);
        assert_eq!(
            (relay.host.as_str(), relay.port, relay.security),
            ("smtp.gmail.com", PORT_SUBMISSION, Security::StartTls)
        );
        assert_eq!(relay.sender, "ada@example.org");
        assert_eq!(relay.login.as_ref().unwrap().password, "p w");
        let relay = remote(None, &[("EMAIL_HOST", "h"), ("EMAIL_PORT", "465")]);
        assert!(relay.security == Security::Tls && relay.login.is_none());
    }

    #[test]
    fn addresses_of_relays_are_read_with_their_parts() {
        let relay = remote(Some("smtp://127.0.0.1:2525"), &[]);
        assert_eq!((relay.port, relay.security), (2525, Security::Plain));
        let relay = remote(Some("smtps://ada%40example.org:a%2Fb@mail.example"), &[]);
        assert_eq!((relay.port, relay.security), (PORT_TLS, Security::Tls));
        let login = relay.login.unwrap();
        assert_eq!(
            (login.user.as_str(), login.password.as_str()),
            ("ada@example.org", "a/b")
        );
        let relay = remote(Some("smtp+starttls://mail.example"), &[]);
        assert_eq!(
            (relay.port, relay.security),
            (PORT_SUBMISSION, Security::StartTls)
        );
    }

    #[test]
    fn what_cannot_be_used_is_refused_without_its_secret() {
        for (flag, environment, named) in [
            (Some("smtp://"), vec![], "smtp://"),
            (Some("http://mail.example"), vec![], "http://mail.example"),
            (Some("smtp://u:secret@mail.example:25"), vec![], "smtps://"),
            (Some("smtps://u@mail.example"), vec![], "mail.example"),
            (Some("smtps://u:secret@h/path"), vec![], "***@h"),
            (None, vec![("EMAIL_HOST", "a b")], "EMAIL_HOST"),
            (None, vec![("EMAIL_HOST", "u:secret@h")], "***@h"),
            (Some("u:se?secret@h"), vec![], "***@h"),
            (
                None,
                vec![("EMAIL_HOST", "h"), ("EMAIL_USER", "u")],
                "EMAIL_PASSWORD",
            ),
            (
                None,
                vec![("EMAIL_HOST", "h"), ("EMAIL_FROM", "a\r\nBcc: b@c.d")],
                "EMAIL_FROM",
            ),
            (
                None,
                vec![("EMAIL_HOST", "h"), ("EMAIL_PORT", "0")],
                "EMAIL_PORT",
            ),
        ] {
            let error = read(flag, &environment).unwrap_err();
            assert!(error.contains(named), "{flag:?} {environment:?}: {error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn a_printed_relay_keeps_its_password() {
        let relay = remote(Some("smtps://u:secret@mail.example"), &[]);
        let shown = format!("{relay:?}");
        assert_eq!(shown, "Tls ***@mail.example:465");
    }
}
