//! Where MongoDB is: a connection string that was read once and never shows its password.
//!
//! Belongs here: checking the string, showing it. Does not belong here: connecting (mongo).

use mongodb::options::{ConnectionString, HostInfo};
use std::fmt;

/// Database where the address names none, as in the documents.
const DEFAULT_DATABASE: &str = "notification_system";
/// Longest name of a database.
const DATABASE_BYTES_MAX: usize = 63;

/// A connection string that the driver understands.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct MongoAddress {
    text: String,
    database: String,
    shown: String,
}

/// Why a connection string cannot be used; never repeats its user or password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AddressError {
    #[error(
        "it needs look-ups in DNS that this program does not make; name the hosts: mongodb://HOST,HOST/DATABASE"
    )]
    Lookup,
    #[error("{0}; write mongodb://[USER:PASSWORD@]HOST[:PORT]/DATABASE")]
    Unreadable(String),
}

impl MongoAddress {
    /// Whether this is meant as an address of MongoDB.
    pub(crate) fn is_meant_by(text: &str) -> bool {
        text.starts_with("mongodb://") || text.starts_with("mongodb+srv://")
    }

    /// Reads a connection string.
    ///
    /// # Errors
    /// [`AddressError`] where the driver cannot use it.
    pub(crate) fn parse(text: &str) -> Result<Self, AddressError> {
        if text.starts_with("mongodb+srv://") {
            return Err(AddressError::Lookup);
        }
        let read = ConnectionString::parse(text)
            .map_err(|error| AddressError::Unreadable(reason(text, &error)))?;
        let HostInfo::HostIdentifiers(hosts) = &read.host_info else {
            return Err(AddressError::Lookup);
        };
        let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
        let database = read
            .default_database
            .unwrap_or_else(|| DEFAULT_DATABASE.to_owned());
        if !is_database(&database) {
            return Err(AddressError::Unreadable(
                "what it names as database is no name of one".to_owned(),
            ));
        }
        Ok(Self {
            shown: format!("mongodb://{}/{database}", hosts.join(",")),
            text: text.to_owned(),
            database,
        })
    }

    /// For the driver only: it holds the password.
    pub(super) fn secret_text(&self) -> &str {
        &self.text
    }

    pub(super) fn database(&self) -> &str {
        &self.database
    }
}

/// Whether every server takes this as the name of a database.
fn is_database(name: &str) -> bool {
    let is_fitting = |c: char| !c.is_control() && !"/\\. \"$*<>:|?".contains(c);
    (1..=DATABASE_BYTES_MAX).contains(&name.len()) && name.chars().all(is_fitting)
}

/// What the driver says, unless it quotes what stands before the hosts.
fn reason(text: &str, error: &mongodb::error::Error) -> String {
    let said = error.kind.to_string();
    let said = said.strip_prefix("An invalid argument was provided: ");
    let secret = text
        .strip_prefix("mongodb://")
        .and_then(|rest| rest.rsplit_once('@'));
    let quotes = |said: &str| {
        secret.is_some_and(|(secret, _)| {
            secret
                .split([':', '@', '/'])
                .any(|part| !part.is_empty() && said.contains(part))
        })
    };
    said.filter(|said| !quotes(said)).map_or_else(
        || "it cannot be read as an address of MongoDB".to_owned(),
        |said| said.trim_end_matches('.').to_owned(),
    )
}

impl fmt::Display for MongoAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for MongoAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_shows_its_hosts_and_never_its_password() {
        let address =
            MongoAddress::parse("mongodb://ada:s3cret@a:1,b/news?authSource=admin").unwrap();
        for shown in [address.to_string(), format!("{address:?}")] {
            assert_eq!(shown, "mongodb://a:1,b:27017/news");
        }
        let address = MongoAddress::parse("mongodb://localhost:27017").unwrap();
        assert_eq!(address.database(), "notification_system");
    }

    #[test]
    fn what_cannot_be_used_is_refused_without_the_password() {
        for text in [
            "mongodb://",
            "mongodb://ada:s3cret@",
            "mongodb://ada:s3cret@h:port/d",
            "mongodb://ada:s3cret@h:70000/d",
            "mongodb://ada:s3:cret@h/d",
            "mongodb://ada:s3cret/@h/d",
            "mongodb://ada:s3cret@h/d?w=-1",
            "mongodb://ada:s3cret@h/a b",
            "mongodb+srv://ada:s3cret@h/d",
        ] {
            let Err(error) = MongoAddress::parse(text) else {
                panic!("{text} is taken");
            };
            let error = error.to_string();
            assert!(
                !error.contains("s3") && !error.contains("ada"),
                "{text}: {error}"
            );
            assert!(error.contains("mongodb://"), "{text}: {error}");
        }
    }
}
