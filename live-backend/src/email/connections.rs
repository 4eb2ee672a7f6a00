//! Connections to the relay: made, kept, and thrown away once anything about them is in doubt.
//!
//! Belongs here: TCP, TLS, login, time limits. Does not belong here: what an answer means (transport).
//!
//! Lettre's own pool has no time limit on answers, and a conversation that is given up half way would go
//! back into it: the next mail would take the late answers to this one for its own.

use super::transport::RelayError;
use crate::config::{RemoteRelay, Security};
use lettre::Message;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::response::Response;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// Connections to the relay at once; a further mail waits.
const CONNECTIONS_MAX: usize = 16;
/// A kept connection that nobody used for this long is not trusted any more.
const IDLE_MAX: Duration = Duration::from_secs(30);
/// What we say goodbye with may take that long.
const GOODBYE_MAX: Duration = Duration::from_secs(1);
/// What we are called in a greeting.
const HELLO_NAME: &str = "flowreel.local";

/// Why a mail did not go.
#[derive(Debug, thiserror::Error)]
pub(super) enum SendError {
    #[error(transparent)]
    Relay(#[from] lettre::transport::smtp::Error),
    #[error("no connection: {0}")]
    Connect(#[from] std::io::Error),
    #[error("no answer within {} s", .0.as_secs_f64())]
    Silent(Duration),
}

/// The way to one relay.
pub(super) struct Connections {
    relay: RemoteRelay,
    tls: Option<TlsParameters>,
    hello: ClientId,
    idle: Mutex<Vec<Idle>>,
    slots: Semaphore,
}

struct Idle {
    since: Instant,
    connection: AsyncSmtpConnection,
}

impl Connections {
    pub(super) fn new(relay: &RemoteRelay) -> Result<Self, RelayError> {
        Ok(Self {
            tls: tls(relay)?,
            relay: relay.clone(),
            hello: ClientId::Domain(HELLO_NAME.to_owned()),
            idle: Mutex::default(),
            slots: Semaphore::new(CONNECTIONS_MAX),
        })
    }

    /// Hands one mail over. On any error, and where the caller gives up, its connection is closed.
    pub(super) async fn send(&self, message: &Message) -> Result<Response, SendError> {
        let Ok(_slot) = self.slots.acquire().await else {
            return Err(std::io::Error::other("mails are sent no longer").into());
        };
        let limit = self.relay.timeout;
        let sending = async {
            let mut connection = self.connection().await?;
            let response = connection
                .send(message.envelope(), &message.formatted())
                .await?;
            Ok((connection, response))
        };
        let sent = tokio::time::timeout(limit, sending).await;
        let (connection, response) = sent.unwrap_or(Err(SendError::Silent(limit)))?;
        self.idle().push(Idle {
            since: Instant::now(),
            connection,
        });
        Ok(response)
    }

    /// Says goodbye on every kept connection.
    pub(super) async fn close(&self) {
        self.slots.close();
        let kept = std::mem::take(&mut *self.idle());
        for mut idle in kept {
            // A relay that does not answer is left without a word.
            drop(tokio::time::timeout(GOODBYE_MAX, idle.connection.quit()).await);
        }
    }

    /// The connection used last, if the relay still answers on it, else a new one.
    async fn connection(&self) -> Result<AsyncSmtpConnection, SendError> {
        while let Some(mut idle) = self.take_idle() {
            if idle.connection.test_connected().await {
                return Ok(idle.connection);
            }
        }
        self.connect().await
    }

    fn take_idle(&self) -> Option<Idle> {
        let mut idle = self.idle();
        idle.retain(|kept| kept.since.elapsed() < IDLE_MAX);
        idle.pop()
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, SendError> {
        let relay = &self.relay;
        let address = (relay.host.as_str(), relay.port);
        let mut connection = if relay.security == Security::Tls {
            let limit = Some(relay.timeout);
            AsyncSmtpConnection::connect_tokio1(address, limit, &self.hello, self.tls.clone(), None)
                .await?
        } else {
            let stream = TcpStream::connect(address).await?;
            // The end of a mail is a packet of its own, which would wait for the relay's delayed word.
            stream.set_nodelay(true)?;
            AsyncSmtpConnection::connect_with_transport(Box::new(stream), &self.hello).await?
        };
        if let (Security::StartTls, Some(tls)) = (relay.security, &self.tls) {
            connection.starttls(tls.clone(), &self.hello).await?;
        }
        if let Some(login) = &relay.login {
            let credentials = Credentials::new(login.user.clone(), login.password.clone());
            connection
                .auth(&[Mechanism::Plain, Mechanism::Login], &credentials)
                .await?;
        }
        Ok(connection)
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn tls(relay: &RemoteRelay) -> Result<Option<TlsParameters>, RelayError> {
    if relay.security == Security::Plain {
        return Ok(None);
    }
    let refused = |source| RelayError::Tls {
        host: relay.host.clone(),
        source,
    };
    let mut parameters = TlsParameters::builder(relay.host.clone());
    if let Some(path) = &relay.ca_file {
        let pem = std::fs::read(path).map_err(|source| RelayError::CaFile {
            path: path.display().to_string(),
            source,
        })?;
        parameters = parameters.add_root_certificate(Certificate::from_pem(&pem).map_err(refused)?);
    }
    parameters.build_rustls().map(Some).map_err(refused)
}
