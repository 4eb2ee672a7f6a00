//! Forwarding: one request to one server over pooled connections, and upgraded connections both ways.
//!
//! Belongs here: headers that end at a hop, upgrades, what a failure means. Does not belong here: choice.

use super::upstream::Upstream;
use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode, Uri, header};
use axum::response::Response;
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::net::SocketAddr;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Connections kept open to one server.
const IDLE_CONNECTIONS_MAX: usize = 128;
/// How long an unused connection is kept.
const IDLE_MAX: Duration = Duration::from_secs(30);
/// Longest wait for a connection: the servers are near.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
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

/// A client that wants another protocol.
pub(super) struct ClientUpgrade {
    protocol: HeaderValue,
    on_upgrade: OnUpgrade,
}

/// Why a server did not answer.
pub(super) enum UpstreamFault {
    /// It was not reached, so another may be tried.
    Refused { upgrade: Option<ClientUpgrade> },
    /// It took too long.
    Late,
    /// It was reached and broke off.
    Broken,
}

/// Forwards requests.
pub(super) struct Forwarder {
    client: Client<HttpConnector, Full<Bytes>>,
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl Forwarder {
    pub(super) fn new(tracker: TaskTracker, stop: CancellationToken) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let client = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
            .pool_idle_timeout(IDLE_MAX)
            .pool_timer(TokioTimer::new())
            .build(connector);
        Self {
            client,
            tracker,
            stop,
        }
    }

    pub(super) async fn forward(
        &self,
        head: &Parts,
        body: Bytes,
        upstream: &Upstream,
        upgrade: Option<ClientUpgrade>,
    ) -> Result<Response<Body>, UpstreamFault> {
        let Some(request) = upstream_request(head, body, upstream, upgrade.as_ref()) else {
            return Err(UpstreamFault::Broken);
        };
        let answer = tokio::time::timeout(ANSWER_TIMEOUT, self.client.request(request)).await;
        let mut response = match answer {
            Err(_late) => return Err(UpstreamFault::Late),
            Ok(Err(error)) if error.is_connect() => return Err(UpstreamFault::Refused { upgrade }),
            Ok(Err(error)) => {
                let server = upstream.place.name();
                tracing::warn!(%error, server, "{server} broke off: {error}");
                return Err(UpstreamFault::Broken);
            }
            Ok(Ok(response)) => response,
        };
        let is_upgraded = response.status() == StatusCode::SWITCHING_PROTOCOLS;
        if is_upgraded && let Some(client) = upgrade {
            let server = hyper::upgrade::on(&mut response);
            self.join(client.on_upgrade, server);
        } else {
            remove_hop_headers(response.headers_mut());
        }
        Ok(response.map(Body::new))
    }

    /// Passes bytes both ways until one side ends or the program stops.
    fn join(&self, client: OnUpgrade, server: OnUpgrade) {
        let stop = self.stop.clone();
        self.tracker.spawn(async move {
            let joined = async {
                let (client, server) = futures_util::future::try_join(client, server).await?;
                let (mut client, mut server) = (TokioIo::new(client), TokioIo::new(server));
                // A side that breaks off is how sockets usually end.
                let copied = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                tracing::trace!(?copied, "upgraded connection is over");
                Ok::<_, hyper::Error>(())
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                ended = joined => {
                    if let Err(error) = ended {
                        tracing::debug!(%error, "an upgrade did not come about: {error}");
                    }
                }
            }
        });
    }
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
pub(super) fn clean_request_headers(headers: &mut HeaderMap, peer: SocketAddr) {
    remove_hop_headers(headers);
    headers.remove(header::UPGRADE);
    headers.remove(header::CONTENT_LENGTH);
    headers.remove(header::EXPECT);
    if let Ok(address) = HeaderValue::from_str(&peer.ip().to_string()) {
        headers.insert("x-forwarded-for", address);
    }
}

fn remove_hop_headers(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
}

fn upstream_request(
    head: &Parts,
    body: Bytes,
    upstream: &Upstream,
    upgrade: Option<&ClientUpgrade>,
) -> Option<Request<Full<Bytes>>> {
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    let uri: Uri = format!("http://{}{path}", upstream.authority)
        .parse()
        .ok()?;
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = head.method.clone();
    *request.uri_mut() = uri;
    *request.headers_mut() = head.headers.clone();
    if let Some(upgrade) = upgrade {
        request
            .headers_mut()
            .insert(header::UPGRADE, upgrade.protocol.clone());
        request
            .headers_mut()
            .insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    }
    Some(request)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_one_hop_end_here() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "keep-alive, x-secret"),
            ("keep-alive", "timeout=5"),
            ("x-secret", "1"),
            ("transfer-encoding", "chunked"),
            ("x-forwarded-for", "9.9.9.9"),
            ("accept", "*/*"),
        ] {
            headers.insert(
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            );
        }
        clean_request_headers(&mut headers, SocketAddr::from(([127, 0, 0, 1], 9)));
        let mut left: Vec<_> = headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
            .collect();
        left.sort_unstable();
        assert_eq!(left, [("accept", "*/*"), ("x-forwarded-for", "127.0.0.1")]);
    }
}
