//! The way to the relay: pooled connections through lettre, and what its answer means.
//!
//! Belongs here: sending one message, telling passing from lasting failures.
//! Does not belong here: what follows from a failure (worker).

use super::message;
use crate::store::notifications::Notification;
use lettre::transport::smtp::PoolConfig;
use lettre::transport::smtp::extension::ClientId;
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use std::time::Duration;

/// Connections kept to the relay: one per job that may run.
const CONNECTIONS_MAX: u32 = 5;
/// Longest wait for one answer of the relay.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

/// Sends messages to one relay.
#[derive(Clone)]
pub(crate) struct Mailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
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

impl Mailer {
    /// A mailer for the relay at this address, without TLS: for relays on this machine or network.
    pub(crate) fn new(host: &str, port: u16) -> Self {
        let pool = PoolConfig::new().max_size(CONNECTIONS_MAX);
        let transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host)
            .port(port)
            .hello_name(ClientId::Domain("flowreel.local".to_owned()))
            .timeout(Some(ANSWER_TIMEOUT))
            .pool_config(pool)
            .build();
        Self { transport }
    }

    pub(crate) async fn send(&self, notification: &Notification) -> Result<Sent, MailFailure> {
        let message = message::build(notification).map_err(|error| MailFailure {
            reply_code: 0,
            reason: error.to_string(),
            is_lasting: true,
        })?;
        let response = self
            .transport
            .send(message)
            .await
            .map_err(|error| MailFailure {
                reply_code: error.status().map_or(0, u16::from),
                reason: error.to_string(),
                is_lasting: error.is_permanent(),
            })?;
        Ok(Sent {
            reply_code: u16::from(response.code()),
            reply: response.message().collect::<Vec<_>>().join(" "),
            message_id: message::message_id(&notification.news.id),
        })
    }

    /// Closes the kept connections.
    pub(crate) async fn close(&self) {
        self.transport.shutdown().await;
    }
}
