//! What the driver's errors mean to the rest of the program.
//!
//! Belongs here: one mapping. Does not belong here: answers to clients (error).
//!
//! What a server says may quote a document's values, which are people's: only codes are passed on.

use super::schema::UNIQUE;
use crate::store::StoreError;
use mongodb::error::{Error, ErrorKind, WriteFailure};

const DUPLICATE_KEY: i32 = 11_000;
const DOCUMENT_REFUSED: i32 = 121;
/// Codes of a server that cannot work now: it stops, starts, is no primary, or was told to end a call.
const PASSING: &[i32] = &[
    6, 7, 50, 64, 89, 91, 112, 134, 189, 251, 262, 9001, 10_107, 11_600, 11_601, 11_602, 13_435,
    13_436,
];

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        if let Some(own) = error.get_custom::<Self>() {
            return own.clone();
        }
        let unavailable = |text: &str| Self::Unavailable {
            text: text.to_owned(),
        };
        match error.kind.as_ref() {
            ErrorKind::Write(WriteFailure::WriteError(failed)) => {
                refused(failed.code, &failed.message)
            }
            ErrorKind::Write(WriteFailure::WriteConcernError(failed)) => Self::Unavailable {
                text: format!(
                    "a write is not safe on enough members yet (code {})",
                    failed.code
                ),
            },
            ErrorKind::InsertMany(failed) => {
                failed.write_errors.iter().flatten().next().map_or_else(
                    || unavailable("writes are not safe on enough members yet"),
                    |failed| refused(failed.code, &failed.message),
                )
            }
            ErrorKind::Command(failed) => refused(failed.code, &failed.message),
            ErrorKind::ServerSelection { .. } => unavailable("no primary answers"),
            ErrorKind::Io(cause) => Self::Unavailable {
                text: format!("the connection broke: {}", cause.kind()),
            },
            ErrorKind::ConnectionPoolCleared { .. } => unavailable("its connections broke"),
            ErrorKind::Transaction { .. } => unavailable("a transaction took too long"),
            ErrorKind::Shutdown => Self::Closed,
            ErrorKind::Authentication { .. } => Self::Refused {
                text: "MongoDB refuses the user or the password".to_owned(),
            },
            // What the cause says may quote a value.
            ErrorKind::Bson(_) => Self::Corrupt {
                what: "a document does not have its collection's fields".to_owned(),
            },
            other => Self::Refused {
                text: format!("MongoDB's driver cannot do this: {other}"),
            },
        }
    }
}

fn refused(code: i32, message: &str) -> StoreError {
    match code {
        DUPLICATE_KEY => match unique_index(message) {
            Some(field) => StoreError::Taken { field },
            None => StoreError::Corrupt {
                what: "a number or key that was new is stored already".to_owned(),
            },
        },
        DOCUMENT_REFUSED => StoreError::Corrupt {
            what: "a document does not fit its collection's schema".to_owned(),
        },
        code if PASSING.contains(&code) => StoreError::Unavailable {
            text: format!("MongoDB cannot do this now (code {code})"),
        },
        code => StoreError::Refused {
            text: format!("MongoDB refused an operation (code {code})"),
        },
    }
}

/// The field whose uniqueness the named index keeps, where people choose its value.
fn unique_index(message: &str) -> Option<&'static str> {
    // E11000 duplicate key error collection: db.signups index: email_unique dup key: { … }
    let (_, rest) = message.split_once(" index: ")?;
    let name = rest.split(' ').next()?;
    UNIQUE
        .iter()
        .find(|(index, _)| *index == name)
        .map(|&(_, field)| field)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_that_cannot_be_read_is_not_quoted() {
        let document = mongodb::bson::doc! { "at": "s3cret" };
        let cause = mongodb::bson::deserialize_from_document::<Moment>(document).unwrap_err();
        assert!(cause.to_string().contains("s3cret"), "{cause}");
        let error = StoreError::from(Error::from(cause));
        assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
        assert!(!error.to_string().contains("s3cret"), "{error}");
    }

    #[derive(Debug, serde::Deserialize)]
    struct Moment {
        #[expect(dead_code, reason = "it is never read, because its document is wrong")]
        at: i64,
    }

    #[test]
    fn a_taken_value_is_named_by_its_field_and_not_shown() {
        let message = "E11000 duplicate key error collection: d.signups index: email_unique dup key: \
                       { email: \"x index: userId_unique y\" }";
        assert!(matches!(
            refused(DUPLICATE_KEY, message),
            StoreError::Taken { field: "email" }
        ));
        let other = message.replacen("email_unique", "_id_", 1);
        let error = refused(DUPLICATE_KEY, &other);
        assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
        assert!(!error.to_string().contains("userId_unique"), "{error}");
    }
}
