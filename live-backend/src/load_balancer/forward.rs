//! Forwarding: one request to one server over pooled connections, and upgraded connections both ways.
//!
//! Belongs here: headers that end at a hop, upgrades, what a failure means. Does not belong here: choice.

use super::line::{AnswerBody, AskFault, Line, Outgoing};
use super::sticky;
use super::tunnel::{self, End};
use super::upstream::{Room, Tunnel, Upstream};
use crate::middleware::record::{self, FORWARDED_FOR, PROXIED};
use crate::telemetry::Stamp;
use crate::telemetry::journey::{PART_HEADER, TIME_HEADER};
use axum::body::Body;
use axum::http::request::Parts;
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri, header};
use axum::response::Response;
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Longest wait for the head of an answer; polling answers take as long as a heartbeat.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(65);

/// Headers that speak of one connection only (RFC 9110, 7.6.1).
const HOP_BY_HOP: [HeaderName; 8] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
];

/// Headers by which a client would speak for a balancer, or name another origin of its request.
const BALANCERS_ONLY: [HeaderName; 8] = [
    HeaderName::from_static("forwarded"),
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-forwarded-host"),
    HeaderName::from_static("x-forwarded-proto"),
    HeaderName::from_static("x-real-ip"),
    HeaderName::from_static(PART_HEADER),
    PROXIED,
    HeaderName::from_static("x-server"),
];

/// A client that wants another protocol.
pub(super) struct ClientUpgrade {
    protocol: HeaderValue,
    on_upgrade: OnUpgrade,
}

/// A client that wants another protocol, and the room that its connection has.
type Opening = (ClientUpgrade, Room);

/// A request as a server will see it, whichever that is.
pub(super) struct Passing {
    request: Outgoing,
    upgrade: Option<Opening>,
}

/// Why a server did not answer.
pub(super) enum UpstreamFault {
    /// It was not reached, so another may be tried.
    Refused {
        unsent: Box<Passing>,
        /// This program or its system had no connection left to give: nothing is known of the server.
        is_ours: bool,
    },
    /// It broke off, and the request may be asked again elsewhere: it only reads.
    Cut(Box<Passing>),
    /// It took too long.
    Late,
    /// It was reached and broke off.
    Broken,
}

/// Forwards requests.
pub(super) struct Forwarder {
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl Passing {
    /// Takes the request over; what speaks of the client's connection is removed already.
    pub(super) fn new(head: Parts, body: Bytes, upgrade: Option<Opening>) -> Self {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = head.method;
        *request.uri_mut() = in_origin_form(head.uri);
        *request.headers_mut() = head.headers;
        if let Some((upgrade, _room)) = &upgrade {
            let headers = request.headers_mut();
            headers.insert(header::UPGRADE, upgrade.protocol.clone());
            headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        }
        Self { request, upgrade }
    }

    /// The same once more, where asking twice changes nothing: neither a poll, which takes what waits for
    /// its client, nor what is recorded, which stands for one way through the system.
    fn again(&self) -> Option<Self> {
        let reads = matches!(*self.request.method(), Method::GET | Method::HEAD);
        let is_poll = self.request.uri().path().starts_with(sticky::PATH);
        let is_recorded = self.request.headers().contains_key(PART_HEADER);
        let may_repeat = reads && !is_poll && !is_recorded && self.upgrade.is_none();
        may_repeat.then(|| Self {
            request: self.request.clone(),
            upgrade: None,
        })
    }

    /// Says when it is passed on, so that nothing the server does is earlier.
    pub(super) fn stamp(&mut self, now: Stamp) {
        self.request
            .headers_mut()
            .insert(TIME_HEADER, HeaderValue::from(now.0));
    }
}

impl Forwarder {
    pub(super) const fn new(tracker: TaskTracker, stop: CancellationToken) -> Self {
        Self { tracker, stop }
    }

    pub(super) async fn forward(
        &self,
        passing: Passing,
        upstream: &Arc<Upstream>,
    ) -> Result<Response<Body>, UpstreamFault> {
        let again = passing.again();
        match self.forward_once(passing, upstream).await {
            Err(UpstreamFault::Broken) => Err(again.map_or(UpstreamFault::Broken, |again| {
                UpstreamFault::Cut(Box::new(again))
            })),
            answered => answered,
        }
    }

    async fn forward_once(
        &self,
        passing: Passing,
        upstream: &Arc<Upstream>,
    ) -> Result<Response<Body>, UpstreamFault> {
        let Passing {
            mut request,
            upgrade,
        } = passing;
        if !request.headers().contains_key(header::HOST) {
            let host = HeaderValue::from_str(&upstream.authority);
            request
                .headers_mut()
                .insert(header::HOST, host.map_err(|_text| UpstreamFault::Broken)?);
        }
        // A connection that is handed over for good comes from no pool and goes to none.
        if upgrade.is_none()
            && let Some(line) = upstream.idle.take().await
        {
            match answered(line, request, upstream).await? {
                Answered::Whole(response, line) => return Ok(whole(response, line, upstream)),
                // The server closed it in that moment and has seen nothing.
                Answered::Unsent(unsent) => request = *unsent,
            }
        }
        let line = match Line::open(&upstream.authority).await {
            Ok(line) => line,
            Err(error) => return Err(refused(request, upgrade, is_ours(&error))),
        };
        match answered(line, request, upstream).await? {
            Answered::Whole(response, line) => {
                let is_upgraded = response.status() == StatusCode::SWITCHING_PROTOCOLS;
                match upgrade.filter(|_| is_upgraded) {
                    Some((client, room)) => {
                        self.join(client.on_upgrade, line, upstream.begin_tunnel(room));
                        Ok(response.map(|_none| Body::empty()))
                    }
                    None => Ok(whole(response, line, upstream)),
                }
            }
            Answered::Unsent(request) => Err(refused(*request, upgrade, false)),
        }
    }

    /// Passes bytes both ways until both sides end or the program stops.
    fn join(&self, client: OnUpgrade, line: Line, open: Tunnel) {
        let stop = self.stop.clone();
        let joined = async move {
            // The line's stream is there at once; the client's comes when it has its answer.
            let (Some((stream, read)), Ok(client)) = (line.into_stream().await, client.await)
            else {
                tracing::debug!("an upgrade did not come about");
                return;
            };
            let Some(client) = end_of(client) else {
                tracing::error!("a client's connection is no plain TCP and cannot be upgraded");
                return;
            };
            let ended = tunnel::join(client, End { stream, read }).await;
            // A side that breaks off is how sockets usually end.
            tracing::trace!(?ended, "an upgraded connection is over");
            drop(open);
        };
        self.tracker.spawn(async move {
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = joined => {}
            }
        });
    }
}

enum Answered {
    Whole(Response<Incoming>, Line),
    Unsent(Box<Outgoing>),
}

fn refused(request: Outgoing, upgrade: Option<Opening>, is_ours: bool) -> UpstreamFault {
    UpstreamFault::Refused {
        unsent: Box::new(Passing { request, upgrade }),
        is_ours,
    }
}

/// Whether a connection failed for want of something of our own: handles, memory, a free port.
pub(super) fn is_ours(error: &std::io::Error) -> bool {
    use rustix::io::Errno;
    let own = [
        Errno::MFILE,
        Errno::NFILE,
        Errno::NOBUFS,
        Errno::NOMEM,
        Errno::ADDRNOTAVAIL,
    ];
    Errno::from_io_error(error).is_some_and(|error| own.contains(&error))
}

async fn answered(
    mut line: Line,
    request: Outgoing,
    upstream: &Upstream,
) -> Result<Answered, UpstreamFault> {
    match tokio::time::timeout(ANSWER_TIMEOUT, line.ask(request)).await {
        Err(_late) => Err(UpstreamFault::Late),
        Ok(Ok(response)) => Ok(Answered::Whole(response, line)),
        Ok(Err(AskFault::Unsent(request))) => Ok(Answered::Unsent(request)),
        Ok(Err(AskFault::Broken(error))) => {
            let server = upstream.place.name();
            tracing::warn!(%error, server, "{server} broke off: {error}");
            Err(UpstreamFault::Broken)
        }
    }
}

fn whole(mut response: Response<Incoming>, line: Line, upstream: &Arc<Upstream>) -> Response<Body> {
    remove_hop_headers(response.headers_mut());
    response.map(|body| Body::new(AnswerBody::new(body, line, Arc::clone(upstream))))
}

fn end_of(client: Upgraded) -> Option<End> {
    let parts = client.downcast::<TokioIo<TcpStream>>().ok()?;
    Some(End {
        stream: parts.io.into_inner(),
        read: parts.read_buf,
    })
}

/// Path and query alone, as servers are asked.
fn in_origin_form(uri: Uri) -> Uri {
    if uri.authority().is_none() && uri.scheme().is_none() {
        return uri;
    }
    let path = uri.into_parts().path_and_query;
    Uri::from(path.unwrap_or(PathAndQuery::from_static("/")))
}

/// The upgrade a client asks for, taken out of its request.
pub(super) fn take_upgrade(request: &mut Request<Incoming>) -> Option<ClientUpgrade> {
    let protocol = request.headers().get(header::UPGRADE)?.clone();
    let asks = request
        .headers()
        .get(header::CONNECTION)?
        .to_str()
        .ok()?
        .to_ascii_lowercase();
    if !asks.split(',').any(|token| token.trim() == "upgrade") {
        return None;
    }
    Some(ClientUpgrade {
        protocol,
        on_upgrade: hyper::upgrade::on(request),
    })
}

/// Removes what speaks of the client's connection only, and names the client.
pub(super) fn clean_request_headers(
    headers: &mut HeaderMap,
    peer: SocketAddr,
    trusted_proxies: &[IpAddr],
) {
    // Before anything is removed: the client itself says what `Connection` names.
    let is_proxied = record::is_proxied(headers);
    let client = client_of(headers, peer.ip().to_canonical(), trusted_proxies);
    remove_hop_headers(headers);
    headers.remove(header::UPGRADE);
    headers.remove(header::CONTENT_LENGTH);
    headers.remove(header::EXPECT);
    for name in BALANCERS_ONLY {
        headers.remove(name);
    }
    if is_proxied {
        headers.insert(PROXIED, HeaderValue::from_static("1"));
    }
    if let Ok(address) = HeaderValue::from_str(&client.to_string()) {
        headers.insert("x-forwarded-for", address);
    }
}

/// Who asks: behind proxies that are believed, whom the last one names that another does not answer for.
fn client_of(headers: &HeaderMap, peer: IpAddr, trusted_proxies: &[IpAddr]) -> IpAddr {
    let named = headers
        .get_all(FORWARDED_FOR)
        .iter()
        .flat_map(|value| value.to_str().unwrap_or_default().split(','));
    let mut client = peer;
    for name in named.rev() {
        if !trusted_proxies.contains(&client) {
            break;
        }
        let Ok(address) = name.trim().parse::<IpAddr>() else {
            break;
        };
        client = address.to_canonical();
    }
    client
}

fn remove_hop_headers(headers: &mut HeaderMap) {
    if headers.contains_key(header::CONNECTION) {
        let named: Vec<HeaderName> = headers
            .get_all(header::CONNECTION)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|text| text.split(','))
            .filter_map(|name| name.trim().parse().ok())
            .collect();
        for name in named {
            headers.remove(name);
        }
    }
    for name in &HOP_BY_HOP {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    const HERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9);

    #[test]
    fn headers_of_one_hop_end_here() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "keep-alive, x-secret"),
            ("keep-alive", "timeout=5"),
            ("x-secret", "1"),
            ("transfer-encoding", "chunked"),
            ("x-forwarded-for", "9.9.9.9"),
            ("x-real-ip", "9.9.9.9"),
            ("forwarded", "for=9.9.9.9"),
            (PART_HEADER, "1"),
            ("accept", "*/*"),
        ] {
            headers.insert(
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            );
        }
        clean_request_headers(&mut headers, HERE, &[]);
        let mut left: Vec<_> = headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
            .collect();
        left.sort_unstable();
        let expected = [
            ("accept", "*/*"),
            ("x-flowreel-proxied", "1"),
            ("x-forwarded-for", "127.0.0.1"),
        ];
        assert_eq!(left, expected);
    }
    #[test]
    fn a_client_cannot_take_away_that_a_proxy_brought_it() {
        for named in ["close, x-forwarded-for, x-flowreel-proxied", "forwarded"] {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONNECTION, HeaderValue::from_static(named));
            headers.insert("x-forwarded-for", HeaderValue::from_static("9.9.9.9"));
            clean_request_headers(&mut headers, HERE, &[]);
            assert!(headers.contains_key(PROXIED), "{named}");
        }
    }

    #[test]
    fn only_a_trusted_proxy_says_for_whom_it_asks() {
        let near = [HERE.ip(), IpAddr::from([10, 0, 0, 1])];
        for (trusted, said, client) in [
            (&near[..0], &["9.9.9.9"][..], "127.0.0.1"),
            (&near[1..], &["9.9.9.9"], "127.0.0.1"),
            (&near[..1], &["9.9.9.9"], "9.9.9.9"),
            (&near[..1], &["8.8.8.8, 9.9.9.9"], "9.9.9.9"),
            (&near[..1], &["8.8.8.8", " 9.9.9.9 "], "9.9.9.9"),
            (&near, &["8.8.8.8, 9.9.9.9, 10.0.0.1"], "9.9.9.9"),
            (&near[..1], &["9.9.9.9, 10.0.0.1"], "10.0.0.1"),
            (&near[..1], &["::ffff:9.9.9.9"], "9.9.9.9"),
            (&near[..1], &["9.9.9.9, unknown"], "127.0.0.1"),
            (&near[..1], &[], "127.0.0.1"),
        ] {
            let mut headers = HeaderMap::new();
            for value in said {
                headers.append("x-forwarded-for", HeaderValue::from_static(value));
            }
            clean_request_headers(&mut headers, HERE, trusted);
            assert_eq!(headers["x-forwarded-for"], client, "{trusted:?} {said:?}");
            assert_eq!(headers.contains_key(PROXIED), !said.is_empty());
        }
    }

    #[test]
    fn want_of_our_own_tells_nothing_about_a_server() {
        use rustix::io::Errno;
        for own in [
            Errno::MFILE,
            Errno::NFILE,
            Errno::NOBUFS,
            Errno::ADDRNOTAVAIL,
        ] {
            assert!(is_ours(&own.into()), "{own}");
        }
        for other in [Errno::CONNREFUSED, Errno::HOSTUNREACH, Errno::TIMEDOUT] {
            assert!(!is_ours(&other.into()), "{other}");
        }
        assert!(!is_ours(&std::io::ErrorKind::TimedOut.into()));
    }
}
