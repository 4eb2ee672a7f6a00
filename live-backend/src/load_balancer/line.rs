//! Connections to a server: kept open between requests, driven by whoever uses them.
//!
//! Belongs here: one HTTP/1.1 connection, the idle ones of a server, an answer's body. Does not belong
//! here: which server, what a failure means (forward.rs).
//!
//! No task watches a connection: the request that uses it moves it along, and so does the body of its
//! answer, so a request costs no switch between tasks. An idle connection is looked at when it is taken.

use super::upstream::Upstream;
use axum::http::{Request, Response};
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::client::conn::http1::{self, Connection, SendRequest};
use hyper_util::rt::TokioIo;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::Instant;

/// Connections kept open to one server.
const IDLE_COUNT_MAX: usize = 256;
/// How long an unused connection is kept; less than the servers keep theirs.
const IDLE_MAX: Duration = Duration::from_secs(5);
/// Longest wait for a connection: the servers are near.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// A request on its way to a server.
pub(super) type Outgoing = Request<Full<Bytes>>;

/// One connection.
pub(super) struct Line {
    sender: SendRequest<Full<Bytes>>,
    /// Boxed, because it is moved often.
    connection: Option<Box<Connection<TokioIo<TcpStream>, Full<Bytes>>>>,
    is_over: bool,
}

/// Why a server gave no answer.
pub(super) enum AskFault {
    /// It saw nothing of the request.
    Unsent(Box<Outgoing>),
    /// It broke off.
    Broken(hyper::Error),
}

impl Line {
    /// Connects.
    pub(super) async fn open(authority: &str) -> std::io::Result<Self> {
        let connecting = tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(authority));
        let stream = connecting
            .await
            .unwrap_or_else(|_late| Err(std::io::ErrorKind::TimedOut.into()))?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(std::io::Error::other)?;
        Ok(Self {
            sender,
            connection: Some(Box::new(connection)),
            is_over: false,
        })
    }

    /// Sends the request and waits for the head of the answer.
    pub(super) async fn ask(&mut self, request: Outgoing) -> Result<Response<Incoming>, AskFault> {
        let mut answer = pin!(self.sender.try_send_request(request));
        let answered = poll_fn(|cx| {
            let is_over = self.drive(cx);
            let answered = answer.as_mut().poll(cx);
            if is_over && answered.is_pending() {
                // It ended without a word on this request; dropping it makes the answer say so.
                self.connection = None;
                return answer.as_mut().poll(cx);
            }
            answered
        });
        answered
            .await
            .map_err(|mut fault| match fault.take_message() {
                Some(request) => AskFault::Unsent(Box::new(request)),
                None => AskFault::Broken(fault.into_error()),
            })
    }

    /// Whether it can take a request: nothing of an earlier one is left, and the server has not hung up.
    async fn is_well(&mut self) -> bool {
        poll_fn(|cx| {
            self.drive(cx);
            Poll::Ready(())
        })
        .await;
        !self.is_over && self.sender.is_ready()
    }

    /// Moves it along; true once it is over.
    fn drive(&mut self, cx: &mut Context<'_>) -> bool {
        if let Some(connection) = self.connection.as_mut().filter(|_| !self.is_over) {
            self.is_over = Pin::new(&mut **connection).poll(cx).is_ready();
        }
        self.is_over
    }

    /// After an answer that switches protocols: the stream, and what was read beyond the answer.
    pub(super) async fn into_stream(mut self) -> Option<(TcpStream, Bytes)> {
        let mut connection = self.connection.take()?;
        if !self.is_over {
            poll_fn(|cx| connection.poll_without_shutdown(cx))
                .await
                .ok()?;
        }
        let parts = connection.into_parts();
        Some((parts.io.into_inner(), parts.read_buf))
    }
}

/// The idle connections of one server, the last used first.
#[derive(Default)]
pub(super) struct IdleLines {
    lines: Mutex<Vec<(Line, Instant)>>,
}

impl IdleLines {
    /// One that can take a request.
    pub(super) async fn take(&self) -> Option<Line> {
        loop {
            let (mut line, since) = self.lock().pop()?;
            if since.elapsed() < IDLE_MAX && line.is_well().await {
                return Some(line);
            }
        }
    }

    fn give(&self, line: Line) {
        let mut lines = self.lock();
        if lines.len() < IDLE_COUNT_MAX {
            lines.push((line, Instant::now()));
        }
    }

    /// Closes those that were not used for long.
    pub(super) fn trim(&self) {
        self.lock().retain(|(_, since)| since.elapsed() < IDLE_MAX);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(Line, Instant)>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The body of an answer, which gives its connection back once it has been read.
pub(super) struct AnswerBody {
    body: Incoming,
    line: Option<Line>,
    upstream: Arc<Upstream>,
}

impl AnswerBody {
    pub(super) const fn new(body: Incoming, line: Line, upstream: Arc<Upstream>) -> Self {
        Self {
            body,
            line: Some(line),
            upstream,
        }
    }

    fn give_back(&mut self) {
        if let Some(line) = self.line.take().filter(|line| !line.is_over) {
            self.upstream.idle.give(line);
        }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        // Asking first tells the connection that data are wanted; it may bring them at once.
        let mut asked = Pin::new(&mut self.body).poll_frame(cx);
        if asked.is_pending()
            && let Some(line) = &mut self.line
        {
            if line.drive(cx) {
                // Dropping it tells the body that there is no more.
                self.line = None;
            }
            asked = Pin::new(&mut self.body).poll_frame(cx);
        }
        if let Poll::Ready(None) = asked {
            self.give_back();
        }
        asked
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for AnswerBody {
    fn drop(&mut self) {
        // A body of known length is not asked again after its last byte.
        if self.body.is_end_stream() {
            self.give_back();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Upstreams;
    use super::*;
    use crate::telemetry::Place;
    use http_body_util::BodyExt;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::sync::oneshot;

    async fn listen() -> (TcpListener, Arc<Upstream>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let authority = listener.local_addr().unwrap().to_string();
        let upstreams = Upstreams::new([(Place::Server1, authority)]);
        (listener, Arc::clone(&upstreams.all()[0]))
    }

    /// Answers that many requests with two bytes each.
    async fn serve(stream: &mut TcpStream, count: usize) {
        let mut read = Vec::new();
        for _ in 0..count {
            while !read.ends_with(b"\r\n\r\n") {
                assert!(stream.read_buf(&mut read).await.unwrap() > 0);
            }
            read.clear();
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
            stream.write_all(answer).await.unwrap();
        }
    }

    /// One request; the answer is whether an idle connection took it.
    async fn ask(upstream: &Arc<Upstream>) -> bool {
        let idle = upstream.idle.take().await;
        let is_idle = idle.is_some();
        let mut line = match idle {
            Some(line) => line,
            None => Line::open(&upstream.authority).await.unwrap(),
        };
        let request = Request::get("/").header("host", "x");
        let request = request.body(Full::new(Bytes::new())).unwrap();
        let Ok(response) = line.ask(request).await else {
            panic!("no answer");
        };
        let body = AnswerBody::new(response.into_body(), line, Arc::clone(upstream));
        assert_eq!(body.collect().await.unwrap().to_bytes(), "ok");
        is_idle
    }

    #[tokio::test]
    async fn a_connection_is_used_again_once_its_answer_has_been_read() {
        let (listener, upstream) = listen().await;
        let serving = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            serve(&mut stream, 10).await;
        };
        let asking = async {
            for number in 0..10 {
                assert_eq!(ask(&upstream).await, number > 0);
            }
        };
        tokio::join!(serving, asking);
    }

    #[tokio::test]
    async fn a_connection_that_the_server_closed_takes_no_request() {
        let (listener, upstream) = listen().await;
        let (close, closing) = oneshot::channel();
        let (closed, is_closed) = oneshot::channel();
        let serving = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            serve(&mut stream, 1).await;
            closing.await.unwrap();
            drop(stream);
            closed.send(()).unwrap();
            // The connection whose making shows that the runtime has heard of the end of the first.
            listener.accept().await.unwrap();
            let (mut stream, _) = listener.accept().await.unwrap();
            serve(&mut stream, 1).await;
        };
        let asking = async {
            assert!(!ask(&upstream).await);
            close.send(()).unwrap();
            is_closed.await.unwrap();
            TcpStream::connect(&upstream.authority).await.unwrap();
            assert!(!ask(&upstream).await);
        };
        tokio::join!(serving, asking);
    }
}
