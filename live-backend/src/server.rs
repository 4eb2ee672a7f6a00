//! Listening: bind a port, serve HTTP/1.1 with upgrades, stop without cutting a request off.
//!
//! Belongs here: sockets and connections. Does not belong here: routes, balancing.

mod newcomers;

use crate::error::AppError;
use crate::middleware::headers;
use axum::body::Body;
use axum::http::Request;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use newcomers::{Newcomer, Newcomers};
use rustix::net::sockopt::set_tcp_user_timeout;
use std::borrow::Borrow;
use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// Open connections of one listener; a further client waits in the system's backlog.
const CONNECTIONS_MAX: usize = 20_000;
/// Longest time for a request's head: slow senders do not hold connections for ever.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Largest head of a request, in bytes.
const HEAD_BYTES_MAX: usize = 32 * 1024;
/// Longest time that a client takes nothing of what is written to it: who asks and never reads holds no
/// connection for ever.
const TAKE_TIMEOUT: Duration = Duration::from_secs(60);
/// Pause where the system gives no connections, for instance because all file handles are in use.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Requests in progress may take that long after a stop.
pub(crate) const DRAIN_MAX: Duration = Duration::from_secs(10);

/// Why a port cannot be had.
#[derive(Debug, thiserror::Error)]
#[error(
    "port {port} for the {name} is not free ({source}); stop what listens there, or choose other ports with --port-base"
)]
pub(crate) struct BindError {
    name: &'static str,
    port: u16,
    source: std::io::Error,
}

/// Listens on this machine's loopback address; port 0 is any free one.
pub(crate) async fn bind(name: &'static str, port: u16) -> Result<TcpListener, BindError> {
    bind_at(name, IpAddr::V4(Ipv4Addr::LOCALHOST), port).await
}

/// Listens on one of this machine's addresses; port 0 is any free one.
pub(crate) async fn bind_at(
    name: &'static str,
    address: IpAddr,
    port: u16,
) -> Result<TcpListener, BindError> {
    TcpListener::bind(SocketAddr::from((address, port)))
        .await
        .map_err(|source| BindError { name, port, source })
}

/// Answers one request.
pub(crate) trait Answer: Clone + Send + Sync + 'static {
    fn answer(
        &self,
        request: Request<Incoming>,
        peer: SocketAddr,
    ) -> impl Future<Output = Response<Body>> + Send;
}

/// Serves until stopped; then no connection is accepted and those that are at rest close.
pub(crate) async fn serve(
    listener: impl Borrow<TcpListener> + Send,
    service: impl Answer,
    stop: CancellationToken,
) {
    serve_readers(listener, service, stop, TAKE_TIMEOUT).await;
}

/// As [`serve`], for clients that take something at least that often.
async fn serve_readers(
    listener: impl Borrow<TcpListener> + Send,
    service: impl Answer,
    stop: CancellationToken,
    take_timeout: Duration,
) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let newcomers = Newcomers::default();
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            accepted = async {
                let slot = Arc::clone(&slots).acquire_owned().await;
                (listener.borrow().accept().await, slot)
            } => accepted,
            Some(_ended) = connections.join_next() => continue,
        };
        match accepted {
            (Ok((stream, peer)), Ok(slot)) => {
                be_prompt(&stream, take_timeout);
                let newcomer = newcomers.arrive();
                let connection = connection(stream, peer, service.clone(), newcomer, stop.clone());
                connections.spawn(async move {
                    connection.await;
                    drop(slot);
                });
            }
            (Err(error), _) => {
                tracing::warn!(%error, "a connection was lost before it began: {error}");
                if error.kind() != std::io::ErrorKind::ConnectionAborted {
                    // Nothing announces that the system has handles again.
                    tokio::time::sleep_until(tokio::time::Instant::now() + ACCEPT_PAUSE).await;
                }
            }
            (Ok(_), Err(_closed)) => break,
        }
    }
    drop(listener);
    let drained = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(DRAIN_MAX, drained).await.is_err() {
        tracing::warn!(
            "requests took longer than {} s to end and were cut off",
            DRAIN_MAX.as_secs()
        );
    }
}

/// Nothing waits for more to send, and the system ends a connection whose other end takes nothing.
fn be_prompt(stream: &TcpStream, take_timeout: Duration) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection keeps Nagle's delay: {error}");
    }
    let timeout_ms = u32::try_from(take_timeout.as_millis()).unwrap_or(u32::MAX);
    if let Err(error) = set_tcp_user_timeout(stream, timeout_ms) {
        tracing::debug!(%error, "a connection has no time limit on writing: {error}");
    }
}

fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    service: impl Answer,
    newcomer: Newcomer,
    stop: CancellationToken,
) -> impl Future<Output = ()> + Send + 'static {
    let driven_out = newcomer.driven_out.clone();
    let service = hyper::service::service_fn(move |request| {
        newcomer.has_spoken();
        let service = service.clone();
        async move { Ok::<_, Infallible>(answer(&service, request, peer).await) }
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    async move {
        let mut serving = std::pin::pin!(serving);
        let ended = tokio::select! {
            ended = serving.as_mut() => ended,
            () = driven_out.cancelled() => Ok(()),
            () = stop.cancelled() => {
                serving.as_mut().graceful_shutdown();
                serving.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection broke off: {error}");
        }
    }
}

/// The service's answer in its armour; a panic is answered too, and the connection goes on.
async fn answer(
    service: &impl Answer,
    request: Request<Incoming>,
    peer: SocketAddr,
) -> Response<Body> {
    let answering = AssertUnwindSafe(service.answer(request, peer)).catch_unwind();
    let mut response = answering.await.unwrap_or_else(|_panic| {
        tracing::error!("a request panicked; its answer is 500");
        AppError::internal().into_response()
    });
    headers::protect(&mut response);
    response
}

/// Who is at the other end of the connection.
#[derive(Clone, Copy)]
pub(crate) struct Peer(pub(crate) IpAddr);

impl Answer for axum::Router {
    async fn answer(&self, mut request: Request<Incoming>, peer: SocketAddr) -> Response<Body> {
        use tower::ServiceExt;
        request.extensions_mut().insert(Peer(peer.ip()));
        match self.clone().oneshot(request.map(Body::new)).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    async fn broken() -> &'static str {
        panic!("secret cause")
    }

    #[tokio::test]
    async fn who_asks_and_never_reads_loses_the_connection() {
        let listener = bind("test", 0).await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let (gone_in, mut gone) = tokio::sync::mpsc::channel::<()>(1);
        // The answer holds this end as long as somebody may still take of it.
        let endless = get(move || {
            let held = gone_in.clone();
            async move {
                let pieces = futures_util::stream::repeat_with(move || {
                    let _held = &held;
                    Ok::<_, Infallible>(bytes::Bytes::from_static(&[7; 4096]))
                });
                Body::from_stream(pieces)
            }
        });
        let routes = Router::new().route("/endless", endless);
        let mut tasks = tokio::task::JoinSet::new();
        let take_timeout = Duration::from_millis(500);
        tasks.spawn(serve_readers(listener, routes, stop.clone(), take_timeout));
        let mut stream = TcpStream::connect(address).await.unwrap();
        let ask = "GET /endless HTTP/1.1\r\nhost: a\r\n\r\n".repeat(3);
        stream.write_all(ask.as_bytes()).await.unwrap();
        stream.readable().await.unwrap();
        stop.cancel();
        let ended = tokio::time::timeout(DRAIN_MAX / 2, gone.recv()).await;
        assert_eq!(ended.expect("it is cut off"), None);
        tasks.join_all().await;
    }

    #[tokio::test]
    async fn a_panic_is_answered_with_500_and_the_connection_goes_on() {
        let listener = bind("test", 0).await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let routes = Router::new()
            .route("/broken", get(broken))
            .route("/well", get(async || "well"));
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(serve(listener, routes, stop.clone()));
        let mut stream = TcpStream::connect(address).await.unwrap();
        let ask = "GET /broken HTTP/1.1\r\nhost: a\r\n\r\nGET /well HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
        stream.write_all(ask.as_bytes()).await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        assert!(text.starts_with("HTTP/1.1 500 "), "{text}");
        assert!(text.contains(r#"{"error":{"code":"internal""#), "{text}");
        assert!(!text.contains("secret cause"), "{text}");
        assert!(
            text.contains("HTTP/1.1 200 OK") && text.ends_with("well"),
            "{text}"
        );
        assert_eq!(
            text.matches("x-content-type-options: nosniff").count(),
            2,
            "{text}"
        );
        stop.cancel();
        tasks.join_all().await;
    }
}
