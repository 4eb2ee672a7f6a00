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
/// A kept connection that does not answer for this long is no longer one.
const PROOF_MAX: Duration = Duration::from_secs(2);
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
            let proof = tokio::time::timeout(PROOF_MAX, idle.connection.test_connected());
            if proof.await.unwrap_or(false) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
    use tokio::net::TcpListener;
    use tokio_util::task::TaskTracker;

    /// A relay that takes mails and never answers `NOOP`.
    async fn serve(stream: TcpStream) -> std::io::Result<()> {
        let (reader, mut writer) = stream.into_split();
        let mut lines = BufReader::new(reader).lines();
        let mut is_message = false;
        writer.write_all(b"220 h\r\n").await?;
        while let Some(line) = lines.next_line().await? {
            let reply = match line.as_str() {
                "." => "250 kept\r\n",
                _ if is_message => continue,
                "NOOP" => std::future::pending().await,
                "DATA" => "354 go on\r\n",
                _ => "250 h\r\n",
            };
            is_message = line == "DATA";
            writer.write_all(reply.as_bytes()).await?;
        }
        Ok(())
    }

    #[tokio::test]
    async fn a_kept_connection_that_fell_silent_costs_no_run() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let accepted = Arc::new(AtomicUsize::new(0));
        let (tracker, count) = (TaskTracker::new(), Arc::clone(&accepted));
        let relay = async {
            loop {
                let (stream, _peer) = listener.accept().await.unwrap();
                count.fetch_add(1, Ordering::Relaxed);
                tracker.spawn(serve(stream));
            }
        };
        let connections = Connections::new(&RemoteRelay::embedded(port)).unwrap();
        let message = Message::builder()
            .from("a@b.example".parse().unwrap())
            .to("c@d.example".parse().unwrap())
            .body("m".to_owned())
            .unwrap();
        let sending = async {
            for connection in 1..=2 {
                connections.send(&message).await.unwrap();
                assert_eq!(accepted.load(Ordering::Relaxed), connection);
            }
        };
        tokio::select! {
            () = relay => {}
            () = sending => {}
        }
    }
}
