//! Where the listeners are: this process's own, and those of the others.
//!
//! Belongs here: ports, hosts, their names and defaults. Does not belong here: listening.

use super::{Args, ConfigError, Sources};
use std::net::{IpAddr, Ipv4Addr};

/// Listeners counted from the base.
const LAST_OFFSET: u16 = 5;

/// Ports; 0 is any free one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ports {
    pub(crate) balancer: u16,
    pub(crate) servers: [u16; 3],
    pub(crate) gateway: u16,
    /// Used where the recorder is a process of its own.
    pub(crate) recorder: u16,
}

impl Ports {
    /// Ports from the base, or each from its own setting, or the documents' defaults.
    pub(super) fn read(args: &Args, sources: &Sources<'_>) -> Result<Self, ConfigError> {
        let names = ["FLOWREEL_PORT_BASE"];
        let base = sources.text(args.port_base.as_deref(), &names, "port_base")?;
        if let Some(text) = base {
            let base: u16 = text
                .parse()
                .ok()
                .filter(|&base| base <= u16::MAX - LAST_OFFSET)
                .ok_or_else(|| {
                    ConfigError(format!(
                        "--port-base `{text}` must be a whole number from 0 to {}",
                        u16::MAX - LAST_OFFSET
                    ))
                })?;
            let at = |offset: u16| if base == 0 { 0 } else { base + offset };
            return Ok(Self {
                balancer: at(0),
                servers: [at(1), at(2), at(3)],
                gateway: at(4),
                recorder: at(LAST_OFFSET),
            });
        }
        let port = |name, key, default| {
            let whole = sources.whole(None, &[name], key, 0..=65_535, default)?;
            u16::try_from(whole).map_err(|_range| ConfigError(format!("{name} is no port")))
        };
        Ok(Self {
            balancer: port("LOAD_BALANCER_PORT", "load_balancer_port", 8000)?,
            servers: [
                port("SERVER1_PORT", "server1_port", 5001)?,
                port("SERVER2_PORT", "server2_port", 5002)?,
                port("SERVER3_PORT", "server3_port", 5003)?,
            ],
            gateway: port("GATEWAY_PORT", "gateway_port", 3002)?,
            recorder: port("RECORDER_PORT", "recorder_port", 8005)?,
        })
    }
}

/// Where this process listens, and where the others are found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hosts {
    /// The address listened on.
    pub(crate) bind: IpAddr,
    pub(crate) balancer: String,
    pub(crate) servers: [String; 3],
    pub(crate) gateway: String,
    pub(crate) recorder: String,
}

impl Hosts {
    pub(super) fn read(sources: &Sources<'_>) -> Result<Self, ConfigError> {
        let bind = match sources.text(None, &["FLOWREEL_BIND"], "bind")? {
            None => IpAddr::V4(Ipv4Addr::LOCALHOST),
            Some(text) => text.parse().map_err(|_no_address| {
                ConfigError(format!(
                    "FLOWREEL_BIND `{text}` is no address to listen on; write one such as 127.0.0.1 or 0.0.0.0"
                ))
            })?,
        };
        let host = |name, key| -> Result<String, ConfigError> {
            let text = sources.text(None, &[name], key)?;
            let text = text.unwrap_or_else(|| Ipv4Addr::LOCALHOST.to_string());
            if text.contains(['/', '@', ' ']) {
                return Err(ConfigError(format!(
                    "{name} `{text}` is no host; write its name or address, without a port"
                )));
            }
            Ok(text)
        };
        Ok(Self {
            bind,
            balancer: host("LOAD_BALANCER_HOST", "load_balancer_host")?,
            servers: [
                host("SERVER1_HOST", "server1_host")?,
                host("SERVER2_HOST", "server2_host")?,
                host("SERVER3_HOST", "server3_host")?,
            ],
            gateway: host("GATEWAY_HOST", "gateway_host")?,
            recorder: host("RECORDER_HOST", "recorder_host")?,
        })
    }
}
