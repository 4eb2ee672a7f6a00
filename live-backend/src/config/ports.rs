//! Where the listeners are: this process's own, and those of the others.
//!
//! Belongs here: ports, hosts, their names and defaults. Does not belong here: listening.

use super::{Args, ConfigError, Sources, without_secret};
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
        let said = sources.said(args.port_base.as_deref(), &["FLOWREEL_PORT_BASE"]);
        let said_base = said.as_deref().map(base).transpose()?;
        let kept_base = sources.kept("port_base").as_deref().map(base).transpose()?;
        let port = |offset: u16, name, key, default| {
            let is_said = sources.said(None, &[name]).is_some();
            // The file's base gives way to a variable that names the port itself.
            let base = said_base.or(kept_base.filter(|_| !is_said));
            if let Some(base) = base {
                return Ok(if base == 0 { 0 } else { base + offset });
            }
            let whole = sources.whole(None, &[name], key, 0..=65_535, default)?;
            u16::try_from(whole).map_err(|_range| ConfigError(format!("{name} is no port")))
        };
        Ok(Self {
            balancer: port(0, "LOAD_BALANCER_PORT", "load_balancer_port", 8000)?,
            servers: [
                port(1, "SERVER1_PORT", "server1_port", 5001)?,
                port(2, "SERVER2_PORT", "server2_port", 5002)?,
                port(3, "SERVER3_PORT", "server3_port", 5003)?,
            ],
            gateway: port(4, "GATEWAY_PORT", "gateway_port", 3002)?,
            recorder: port(LAST_OFFSET, "RECORDER_PORT", "recorder_port", 8005)?,
        })
    }
}

fn base(text: &str) -> Result<u16, ConfigError> {
    let number = text.parse().ok();
    number
        .filter(|&base| base <= u16::MAX - LAST_OFFSET)
        .ok_or_else(|| {
            ConfigError(format!(
                "--port-base `{text}` must be a whole number from 0 to {}",
                u16::MAX - LAST_OFFSET
            ))
        })
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
                    "{name} `{}` is no host; write its name or address, without a port",
                    without_secret(&text)
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
