//! The words of the notification system: kinds of news, channels, statuses, priorities.
//!
//! Belongs here: closed sets and their names in answers and in the store. Does not belong here: rows
//! (store), stage events (journey), texts for people (notification service).

use crate::telemetry::Class;
use crate::telemetry::clock::rfc3339_from_ns;
use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! named_set {
    ($(#[$doc:meta])* $name:ident { $($(#[$item_doc:meta])* $item:ident => $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub(crate) enum $name { $($(#[$item_doc])* #[serde(rename = $text)] $item,)+ }

        impl $name {
            /// Every member, in order.
            pub(crate) const ALL: &'static [Self] = &[$(Self::$item,)+];

            /// The name in answers and in the store.
            pub(crate) const fn name(self) -> &'static str {
                match self { $(Self::$item => $text,)+ }
            }

            /// The member with this name.
            pub(crate) fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|item| item.name() == name)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}

named_set! {
    /// What people are told about; each is a class of requests in a recording.
    NotificationType {
        /// A new account.
        Signup => "signup",
        /// Somebody logged in.
        Login => "login",
        /// A forgotten password.
        ResetPassword => "reset_password",
        /// Something was bought.
        Purchase => "purchase",
        /// Somebody wants to be friends.
        FriendRequest => "friend_request",
    }
}

impl NotificationType {
    /// The class of requests that cause it.
    pub(crate) const fn class(self) -> Class {
        match self {
            Self::Signup => Class::Signup,
            Self::Login => Class::Login,
            Self::ResetPassword => Class::ResetPassword,
            Self::Purchase => Class::Purchase,
            Self::FriendRequest => Class::FriendRequest,
        }
    }
}

named_set! {
    /// How somebody is told.
    Channel {
        /// By e-mail.
        Email => "email",
        /// By a message on the person's sockets.
        InApp => "in-app",
    }
}

named_set! {
    /// What is served first; higher is served first.
    Priority {
        /// Can wait.
        Low => "low",
        /// The usual.
        Normal => "normal",
        /// Before the usual.
        High => "high",
        /// Before everything.
        Urgent => "urgent",
    }
}

impl Priority {
    /// Larger is served first.
    pub(crate) const fn rank(self) -> u8 {
        match self {
            Self::Low => 0,
            Self::Normal => 1,
            Self::High => 2,
            Self::Urgent => 3,
        }
    }
}

named_set! {
    /// Where an e-mail stands.
    EmailStatus {
        /// Accepted, no run yet or waiting for the next one.
        Pending => "pending",
        /// A run is going on.
        Processing => "processing",
        /// The relay took it.
        Delivered => "delivered",
        /// It rests in the dead-letter queue.
        Failed => "failed",
    }
}

/// Where a message stands, as signups and logins tell it. A row and its job are stored together, so
/// what was accepted is queued at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum TrackedStatus {
    /// In a queue, or waiting for its next run.
    Queued,
    /// A run is going on.
    Sending,
    /// It arrived.
    Delivered,
    /// It rests in the dead-letter queue, or nobody wanted it in time.
    Failed,
}

impl TrackedStatus {
    /// Every member.
    pub(crate) const ALL: [Self; 4] = [Self::Queued, Self::Sending, Self::Delivered, Self::Failed];

    /// The name in answers.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Sending => "sending",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
        }
    }

    /// From what a notification's row holds.
    pub(crate) fn from_stored(status: &str) -> Option<Self> {
        if let Some(status) = EmailStatus::from_name(status) {
            return Some(match status {
                EmailStatus::Pending => Self::Queued,
                EmailStatus::Processing => Self::Sending,
                EmailStatus::Delivered => Self::Delivered,
                EmailStatus::Failed => Self::Failed,
            });
        }
        InAppStatus::from_name(status).map(|status| match status {
            InAppStatus::Pending => Self::Queued,
            InAppStatus::Delivered => Self::Delivered,
            InAppStatus::Failed | InAppStatus::Expired => Self::Failed,
        })
    }
}

named_set! {
    /// Where an in-app notification stands.
    InAppStatus {
        /// Not confirmed by the person's client yet.
        Pending => "pending",
        /// Confirmed by the person's client.
        Delivered => "delivered",
        /// It rests in the dead-letter queue.
        Failed => "failed",
        /// Nobody confirmed it before `expiresAt`.
        Expired => "expired",
    }
}

named_set! {
    /// What a person may do.
    Role {
        /// Everything of their own.
        User => "user",
        /// Control of the running system.
        Admin => "admin",
    }
}

/// A user's number; text in JSON, where ids are strings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct UserId(pub(crate) u64);

impl UserId {
    /// Reads decimal digits that name a user (from 1 upwards).
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let is_decimal = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let number: u64 = is_decimal.then(|| text.parse().ok()).flatten()?;
        // The store counts with signed numbers.
        (number > 0 && i64::try_from(number).is_ok()).then_some(Self(number))
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for UserId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Milliseconds since 1970, printed as RFC 3339 in answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct WallMs(pub(crate) u64);

impl WallMs {
    /// As the store counts.
    pub(crate) fn to_stored(self) -> i64 {
        i64::try_from(self.0).unwrap_or(i64::MAX)
    }

    /// From what the store holds; times before 1970 do not occur.
    pub(crate) fn from_stored(ms: i64) -> Self {
        Self(u64::try_from(ms).unwrap_or(0))
    }
}

impl fmt::Display for WallMs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&rfc3339_from_ns(self.0.saturating_mul(1_000_000)))
    }
}

impl Serialize for WallMs {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back_and_others_are_refused() {
        for &kind in NotificationType::ALL {
            assert_eq!(NotificationType::from_name(kind.name()), Some(kind));
            let json = serde_json::to_string(&kind).unwrap();
            assert_eq!(
                serde_json::from_str::<NotificationType>(&json).unwrap(),
                kind
            );
        }
        let names: Vec<&str> = NotificationType::ALL.iter().map(|it| it.name()).collect();
        let five = "signup login reset_password purchase friend_request";
        assert_eq!(names.join(" "), five);
        for word in ["\"party\"", "\"Login\"", "\"\"", "1", "null"] {
            let read = serde_json::from_str::<NotificationType>(word);
            assert!(read.is_err(), "{word}");
        }
        assert!(serde_json::from_str::<InAppStatus>("\"read\"").is_err());
        assert!(serde_json::from_str::<EmailStatus>("\"sent\"").is_err());
        assert!(serde_json::from_str::<Priority>("\"asap\"").is_err());
        assert_eq!(
            InAppStatus::from_name("expired"),
            Some(InAppStatus::Expired)
        );
    }

    #[test]
    fn user_ids_are_plain_positive_decimals() {
        assert_eq!(UserId::parse("17"), Some(UserId(17)));
        for text in [
            "",
            "0",
            "-1",
            "+1",
            "1.0",
            " 1",
            "1x",
            "18446744073709551615",
            "99999999999999999999",
        ] {
            assert_eq!(UserId::parse(text), None, "{text}");
        }
    }

    #[test]
    fn times_print_as_rfc_3339() {
        assert_eq!(WallMs(0).to_string(), "1970-01-01T00:00:00.000Z");
        assert_eq!(
            WallMs(1_709_210_096_789).to_string(),
            "2024-02-29T12:34:56.789Z"
        );
    }
}
