//! Which parts a process stands on: the embedded ones, or services by their address.
//!
//! Belongs here: reading `--store` and `--queue` with their older names, addresses that keep their
//! secrets. Does not belong here: speaking to a service.

use super::{Args, ConfigError, Process, Sources};
use crate::store::MongoAddress;
use std::fmt;

/// What a certificate begins with.
const PEM_MARK: &[u8] = b"-----BEGIN CERTIFICATE-----";
/// Redis's own port.
const REDIS_PORT: u16 = 6379;

/// Where data are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StorePart {
    Embedded,
    MongoDb(MongoAddress),
}

/// Where jobs wait, and by what the processes of one system talk to each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum QueuePart {
    Embedded,
    Redis(Address),
}

/// Redis's address with its user and password, shown without them, and who vouches for it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Address {
    text: String,
    ca: Option<Vec<u8>>,
}

impl Address {
    /// The whole address, for the service's driver only.
    pub(crate) fn with_secret(&self) -> &str {
        &self.text
    }

    /// Certificates that are trusted in place of the public ones (PEM).
    pub(crate) fn ca(&self) -> Option<&[u8]> {
        self.ca.as_deref()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&without_secret(&self.text))
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

/// An address without its user, its password, and what may stand behind a `?` or a `#`, however badly it is
/// written: a password may hold any of these characters itself, so the last `@` counts.
pub(super) fn without_secret(text: &str) -> String {
    let plain = |text: &str| text.split(['?', '#']).next().unwrap_or(text).to_owned();
    let Some((secret, host)) = text.rsplit_once('@') else {
        return plain(text);
    };
    let is_scheme = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || c == '+');
    let scheme = secret.split_once("://").map(|(scheme, _)| scheme);
    match scheme.filter(|scheme| is_scheme(scheme)) {
        Some(scheme) => format!("{scheme}://***@{}", plain(host)),
        None => format!("***@{}", plain(host)),
    }
}

pub(super) fn store(args: &Args, sources: &Sources<'_>) -> Result<StorePart, ConfigError> {
    let names = ["FLOWREEL_STORE", "MONGODB_URI"];
    let text = sources.text(args.store.as_deref(), &names, "store")?;
    let Some(text) = text.filter(|text| text != "embedded") else {
        return Ok(StorePart::Embedded);
    };
    if !MongoAddress::is_meant_by(&text) {
        return Err(ConfigError(format!(
            "--store `{}` is no store; write `embedded` or mongodb://HOST:PORT/DATABASE",
            without_secret(&text)
        )));
    }
    let wrong = |error| {
        ConfigError(format!(
            "the address of MongoDB (--store, FLOWREEL_STORE or MONGODB_URI) cannot be used: {error}"
        ))
    };
    MongoAddress::parse(&text)
        .map(StorePart::MongoDb)
        .map_err(wrong)
}

pub(super) fn queue(args: &Args, sources: &Sources<'_>) -> Result<QueuePart, ConfigError> {
    let names = ["FLOWREEL_QUEUE", "REDIS_URL"];
    let said = sources.said(args.queue.as_deref(), &names);
    let is_in_parts = sources.said(None, &["REDIS_HOST"]).is_some();
    // The file's address gives way to a variable that names the host.
    let text = match said.or_else(|| sources.kept("queue").filter(|_| !is_in_parts)) {
        Some(text) => Some(text),
        None => redis_by_its_parts(sources)?,
    };
    let Some(text) = text.filter(|text| text != "embedded") else {
        return Ok(QueuePart::Embedded);
    };
    let has_scheme = text.starts_with("redis://") || text.starts_with("rediss://");
    if has_scheme && redis::parse_redis_url(&text).is_some() {
        let ca = redis_ca(&text, sources)?;
        return Ok(QueuePart::Redis(Address { text, ca }));
    }
    Err(ConfigError(format!(
        "--queue `{}` is no queue; write `embedded`, redis://HOST:PORT or rediss://HOST:PORT",
        without_secret(&text)
    )))
}

/// What `REDIS_CA_FILE` holds.
fn redis_ca(address: &str, sources: &Sources<'_>) -> Result<Option<Vec<u8>>, ConfigError> {
    let named = sources.text(None, &["REDIS_CA_FILE"], "redis_ca_file")?;
    let Some(path) = named.filter(|_| address.starts_with("rediss://")) else {
        return Ok(None);
    };
    let unusable = |reason: &str| {
        ConfigError(format!(
            "REDIS_CA_FILE {path} {reason}; name a PEM file with the certificate that Redis's is signed by"
        ))
    };
    let bytes =
        std::fs::read(&path).map_err(|error| unusable(&format!("cannot be read ({error})")))?;
    let is_pem = bytes
        .windows(PEM_MARK.len())
        .any(|window| window == PEM_MARK);
    if is_pem {
        Ok(Some(bytes))
    } else {
        Err(unusable("holds no certificate"))
    }
}

/// An address from `REDIS_HOST` and its companions.
fn redis_by_its_parts(sources: &Sources<'_>) -> Result<Option<String>, ConfigError> {
    let part = |name: &'static str, key| sources.text(None, &[name], key);
    let Some(host) = part("REDIS_HOST", "redis_host")? else {
        return Ok(None);
    };
    let port = sources.whole(
        None,
        &["REDIS_PORT"],
        "redis_port",
        1..=65_535,
        u64::from(REDIS_PORT),
    )?;
    let user = part("REDIS_USERNAME", "redis_username")?.unwrap_or_default();
    let password = part("REDIS_PASSWORD", "redis_password")?.unwrap_or_default();
    let who = if user.is_empty() && password.is_empty() {
        String::new()
    } else {
        format!("{}:{}@", percent_encoded(&user), percent_encoded(&password))
    };
    Ok(Some(format!("redis://{who}{host}:{port}")))
}

/// The text as it may stand before an address's `@`.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::new();
    for &byte in text.as_bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// Refuses a process that shares its work with others and cannot reach them.
pub(super) fn check(
    process: Process,
    store: &StorePart,
    queue: &QueuePart,
) -> Result<(), ConfigError> {
    let missing = match process {
        Process::All | Process::Balancer => return Ok(()),
        Process::Recorder if *queue == QueuePart::Embedded => "--queue redis://HOST:PORT",
        Process::Recorder => return Ok(()),
        Process::Server(_) | Process::MailWorker | Process::InAppWorker | Process::Gateway => {
            match (queue, store) {
                (QueuePart::Embedded, StorePart::Embedded) => {
                    "--queue redis://HOST:PORT and --store mongodb://HOST:PORT/DATABASE"
                }
                (QueuePart::Embedded, StorePart::MongoDb(_)) => "--queue redis://HOST:PORT",
                (QueuePart::Redis(_), StorePart::Embedded) => {
                    "--store mongodb://HOST:PORT/DATABASE"
                }
                (QueuePart::Redis(_), StorePart::MongoDb(_)) => return Ok(()),
            }
        }
    };
    Err(ConfigError(format!(
        "the role `{}` works with other processes and needs {missing}; or run `flowreel-live all`, which needs no services",
        process.name()
    )))
}

#[cfg(test)]
mod tests {
    use super::super::tests::read;
    use super::*;

    fn queue_of(args: &[&str], environment: &[(&str, &str)]) -> String {
        match read(args, environment).unwrap().queue {
            QueuePart::Redis(address) => address.with_secret().to_owned(),
            QueuePart::Embedded => "embedded".to_owned(),
        }
    }

    #[test]
    fn redis_is_named_by_its_address_or_by_its_parts() {
        let parts = [
            ("REDIS_HOST", "h"),
            ("REDIS_PORT", "18008"),
            ("REDIS_USERNAME", "u"),
            ("REDIS_PASSWORD", "p@ss/word"),
        ];
        assert_eq!(
            queue_of(&[], &parts),
            "redis://u:p%40ss%2Fword@h:18008",
            "each part may hold what an address may not"
        );
        assert_eq!(queue_of(&[], &parts[..1]), "redis://h:6379");
        assert_eq!(queue_of(&[], &[]), "embedded");
        let secret = [("REDIS_HOST", "h"), ("REDIS_PASSWORD", "p")];
        assert_eq!(queue_of(&[], &secret), "redis://:p@h:6379");
        let both = [("REDIS_HOST", "h"), ("REDIS_URL", "redis://other:1")];
        assert_eq!(queue_of(&[], &both), "redis://other:1");
        let flag = ["--queue", "rediss://third:2"];
        assert_eq!(queue_of(&flag, &both), "rediss://third:2");
        let off = read(&["--queue", "embedded"], &both).unwrap();
        assert_eq!(off.queue, QueuePart::Embedded);
    }

    #[test]
    fn mongodb_is_used_where_an_address_is_given_and_the_embedded_store_otherwise() {
        assert_eq!(read(&[], &[]).unwrap().store, StorePart::Embedded);
        let uri = (
            "MONGODB_URI",
            "mongodb://localhost:27017/notification_system",
        );
        for (args, environment) in [
            (vec![], vec![uri]),
            (vec!["--store", uri.1], vec![]),
            (
                vec![],
                vec![
                    ("FLOWREEL_STORE", uri.1),
                    ("MONGODB_URI", "mongodb://other"),
                ],
            ),
        ] {
            let StorePart::MongoDb(address) = read(&args, &environment).unwrap().store else {
                panic!("{args:?} {environment:?}");
            };
            assert_eq!(address.to_string(), uri.1);
        }
        let settings = read(&["--store", "embedded"], &[uri]).unwrap();
        assert_eq!(settings.store, StorePart::Embedded);
        for text in [
            "mongodb://u:secret@",
            "postgres://u:secret@host/d",
            "mongodb+srv://u:secret@h",
        ] {
            let error = read(&["--store", text], &[]).unwrap_err();
            assert!(
                error.contains("--store") && !error.contains("secret"),
                "{error}"
            );
        }
    }

    #[test]
    fn addresses_keep_their_secrets() {
        let environment = [
            ("REDIS_URL", "redis://u:secret@h:1"),
            ("MONGODB_URI", "mongodb://u:secret@h:2/d?authSource=admin"),
        ];
        let settings = read(&[], &environment).unwrap();
        let shown = format!("{:?} {:?}", settings.queue, settings.store);
        assert!(!shown.contains("secret"), "{shown}");
        assert!(shown.contains("redis://***@h:1"), "{shown}");
        assert!(shown.contains("mongodb://h:2/d"), "{shown}");
    }

    #[test]
    fn roles_that_share_work_say_which_service_they_lack() {
        let redis = ["--queue", "redis://h:1"];
        let mongo = ["--store", "mongodb://h:2/d"];
        for (role, services, lacks) in [
            (&["server", "--index", "1"][..], vec![], "--queue"),
            (&["mail-worker"][..], redis.to_vec(), "--store"),
            (&["in-app-worker"][..], mongo.to_vec(), "--queue"),
            (&["recorder"][..], mongo.to_vec(), "--queue"),
            (&["gateway"][..], vec![], "--store"),
        ] {
            let args: Vec<&str> = role.iter().chain(&services).copied().collect();
            let error = read(&args, &[]).unwrap_err();
            assert!(error.contains(lacks), "{args:?}: {error}");
        }
        let both: Vec<&str> = redis.iter().chain(&mongo).copied().collect();
        for role in ["mail-worker", "in-app-worker", "gateway", "recorder", "all"] {
            let args: Vec<&str> = std::iter::once(role).chain(both.clone()).collect();
            assert!(read(&args, &[]).is_ok(), "{args:?}");
        }
        assert!(read(&["balancer"], &[]).is_ok(), "it needs no service");
    }
}
