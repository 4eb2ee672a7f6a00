//! Sending one mail through the relay, and what its answer means.
//!
//! Belongs here: telling passing from lasting failures.
//! Does not belong here: connections (connections), what follows from a failure (worker).
//!
//! A mail has one recipient, so the relay's answer is that recipient's own.

use super::connections::{Connections, SendError};
use super::message;
use crate::config::RemoteRelay;
use crate::store::notifications::Notification;
use std::sync::Arc;

/// Answers about our login, not about the mail: the operator can mend that, so the mail is kept
/// (RFC 4954).
const LOGIN_CODES: [u16; 4] = [530, 534, 535, 538];

/// Sends messages to one relay.
#[derive(Clone)]
pub(crate) struct Mailer {
    connections: Arc<Connections>,
    sender: String,
}

/// The relay took it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) reply_code: u16,
    pub(crate) reply: String,
    pub(crate) message_id: String,
}

/// The relay did not take it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MailFailure {
    /// 0 where there was no answer.
    pub(crate) reply_code: u16,
    pub(crate) reason: String,
    /// A later run cannot go better.
    pub(crate) is_lasting: bool,
}

/// Why there is no way to the relay.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RelayError {
    #[error(
        "the certificates in {path} cannot be read: {source}; name a PEM file with EMAIL_CA_FILE"
    )]
    CaFile {
        path: String,
        source: std::io::Error,
    },
    #[error(
        "TLS to the mail relay {host} cannot be set up: {source}; check EMAIL_HOST and EMAIL_CA_FILE"
    )]
    Tls {
        host: String,
        source: lettre::transport::smtp::Error,
    },
}

impl Mailer {
    /// A mailer for this relay; no connection is made before the first mail.
    ///
    /// # Errors
    /// [`RelayError`] where certificates cannot be read or the host's name cannot be in one.
    pub(crate) fn new(relay: &RemoteRelay) -> Result<Self, RelayError> {
        Ok(Self {
            connections: Arc::new(Connections::new(relay)?),
            sender: relay.sender.clone(),
        })
    }

    /// Sends one mail; `hands_over` runs once it is composed and goes to the relay.
    pub(crate) async fn send(
        &self,
        notification: &Notification,
        hands_over: impl FnOnce(),
    ) -> Result<Sent, MailFailure> {
        let message = message::build(notification, &self.sender).map_err(|error| MailFailure {
            reply_code: 0,
            reason: error.to_string(),
            is_lasting: true,
        })?;
        hands_over();
        let response = self
            .connections
            .send(&message)
            .await
            .map_err(MailFailure::from)?;
        Ok(Sent {
            reply_code: u16::from(response.code()),
            reply: response.message().collect::<Vec<_>>().join(" "),
            message_id: message::message_id(&notification.news.id),
        })
    }

    /// Closes the kept connections.
    pub(crate) async fn close(&self) {
        self.connections.close().await;
    }
}

impl From<SendError> for MailFailure {
    fn from(error: SendError) -> Self {
        let reason = with_causes(&error);
        let SendError::Relay(error) = error else {
            return Self {
                reply_code: 0,
                reason,
                is_lasting: false,
            };
        };
        let reply_code = error.status().map_or(0, u16::from);
        Self {
            reply_code,
            reason,
            is_lasting: error.is_permanent() && !LOGIN_CODES.contains(&reply_code),
        }
    }
}

/// An error and what led to it, each said once.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        cause = inner.source();
    }
    text
}
