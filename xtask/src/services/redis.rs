//! Redis: Debian's `redis-server`, keeping an append-only file.
//!
//! Belongs here: obtaining and starting it, asking whether it answers. Does not belong here: ports, pid files.

use super::daemon;
use crate::environment::Environment;
use crate::machine;
use crate::process;
use anyhow::{Result, bail, ensure};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const PROGRAM: &str = "redis-server";
/// A loaded machine is slow.
const START_PATIENCE: Duration = Duration::from_secs(20);
const ANSWER_PATIENCE: Duration = Duration::from_secs(2);

/// Starts it on that port; what it writes survives it (synced to disk every second).
pub(super) fn start(environment: &Environment, home: &Path, port: u16) -> Result<()> {
    if !environment.has(PROGRAM) {
        machine::install_packages(environment, &[PROGRAM])?;
    }
    let mut command = Command::new(PROGRAM);
    command
        .args(["--bind", "127.0.0.1", "--port", &port.to_string()])
        .args(["--save", "", "--appendonly", "yes"])
        .args(["--appendfsync", "everysec", "--daemonize", "yes"])
        .arg("--dir")
        .arg(home)
        .arg("--pidfile")
        .arg(home.join("pid"))
        .arg("--logfile")
        .arg(home.join("log"));
    process::output(&mut command)?;
    let is_up = daemon::within(START_PATIENCE, || {
        daemon::id(home, "redis").is_some() && answers(port)
    });
    if !is_up {
        bail!(
            "{PROGRAM} does not answer on port {port}; see {}",
            home.join("log").display()
        );
    }
    Ok(())
}

/// Whether a Redis answers there.
pub(super) fn answers(port: u16) -> bool {
    ping(port).is_ok()
}

fn ping(port: u16) -> Result<()> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, ANSWER_PATIENCE)?;
    stream.set_read_timeout(Some(ANSWER_PATIENCE))?;
    stream.write_all(b"PING\r\n")?;
    let mut answer = [0; 7];
    stream.read_exact(&mut answer)?;
    ensure!(&answer == b"+PONG\r\n", "that is no Redis");
    Ok(())
}
