//! The listeners of one process, and the addresses of everybody else's.
//!
//! Belongs here: which ports a role takes. Does not belong here: what is served there.

use crate::config::{Hosts, Ports, Process, Settings};
use crate::load_balancer::Upstreams;
use crate::server::{self, BindError};
use crate::telemetry::Place;
use std::sync::Arc;
use tokio::net::TcpListener;

/// Sockets that are bound, each where this process serves it.
#[derive(Default)]
pub(super) struct Listeners {
    pub(super) balancer: Option<Arc<TcpListener>>,
    /// By position in [`Place::SERVERS`].
    pub(super) servers: [Option<Arc<TcpListener>>; 3],
    pub(super) gateway: Option<Arc<TcpListener>>,
    pub(super) recorder: Option<Arc<TcpListener>>,
}

impl Listeners {
    pub(super) async fn bind(settings: &Settings) -> Result<Self, BindError> {
        let (process, ports) = (settings.process, settings.ports);
        let at = async |is_ours: bool, name, port| {
            if !is_ours {
                return Ok(None);
            }
            server::bind_at(name, settings.hosts.bind, port)
                .await
                .map(|listener| Some(Arc::new(listener)))
        };
        let is = |one: Process| process == Process::All || process == one;
        let serves = |place| is(Process::Server(place));
        let [first, second, third] = ports.servers;
        Ok(Self {
            balancer: at(is(Process::Balancer), "balancer", ports.balancer).await?,
            servers: [
                at(serves(Place::Server1), "first server", first).await?,
                at(serves(Place::Server2), "second server", second).await?,
                at(serves(Place::Server3), "third server", third).await?,
            ],
            gateway: at(is(Process::Gateway), "gateway", ports.gateway).await?,
            recorder: at(process == Process::Recorder, "recorder", ports.recorder).await?,
        })
    }

    /// Every listener of this process.
    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<TcpListener>> {
        let one = [&self.balancer, &self.gateway, &self.recorder];
        one.into_iter().chain(&self.servers).flatten()
    }

    /// The ports as the system gave them here, and as the settings name them elsewhere.
    pub(super) fn ports(&self, settings: &Settings) -> Ports {
        let port = |listener: &Option<Arc<TcpListener>>, named| {
            listener.as_ref().map_or(named, |listener| {
                listener
                    .local_addr()
                    .expect("a bound socket has an address")
                    .port()
            })
        };
        let [first, second, third] = &self.servers;
        let named = settings.ports;
        Ports {
            balancer: port(&self.balancer, named.balancer),
            servers: [
                port(first, named.servers[0]),
                port(second, named.servers[1]),
                port(third, named.servers[2]),
            ],
            gateway: port(&self.gateway, named.gateway),
            recorder: port(&self.recorder, named.recorder),
        }
    }
}

/// The three servers as the balancer finds them.
pub(super) fn upstreams(hosts: &Hosts, ports: Ports) -> Upstreams {
    let authorities = hosts.servers.iter().zip(ports.servers);
    let authorities = authorities.map(|(host, port)| authority(host, port));
    Upstreams::new(Place::SERVERS.into_iter().zip(authorities))
}

/// `host:port`, as a URL has it.
pub(crate) fn authority(host: &str, port: u16) -> String {
    if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}
