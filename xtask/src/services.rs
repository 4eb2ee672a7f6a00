//! `cargo xtask services`: a real Redis and a real mongod on this machine, for trying and for tests.
//!
//! Belongs here: the command line, folders and ports, what is printed. Does not belong here: how a
//! server is obtained and started (one file each). Neither server is part of anything that ships.

mod daemon;
pub(crate) mod mongod;
mod mongod_wire;
mod redis;

use crate::environment::Environment;
use crate::{Outcome, talk};
use anyhow::{Context, Result};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};

const USAGE: &str = "usage: cargo xtask services up|down|status [redis] [mongod] [--dir FOLDER]

  up      starts what is named (nothing named: both), obtains it first where it is missing, prints its URL
  down    stops it; its data stay in the folder
  status  prints the URL, or `down`; the exit code is 1 where one is down
  --dir   where data, logs, ports and pid files are kept; default: services/ under the target folder";

/// A server that can be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Service {
    Redis,
    Mongod,
}

impl Service {
    const ALL: [Self; 2] = [Self::Redis, Self::Mongod];

    const fn name(self) -> &'static str {
        match self {
            Self::Redis => "redis",
            Self::Mongod => "mongod",
        }
    }

    /// The port that everybody expects it on.
    const fn usual_port(self) -> u16 {
        match self {
            Self::Redis => 6379,
            Self::Mongod => 27017,
        }
    }

    fn url(self, port: u16) -> String {
        match self {
            Self::Redis => format!("redis://127.0.0.1:{port}"),
            Self::Mongod => format!("mongodb://127.0.0.1:{port}/?replicaSet=rs0"),
        }
    }

    fn answers(self, port: u16) -> bool {
        match self {
            Self::Redis => redis::answers(port),
            Self::Mongod => mongod_wire::is_primary(port).unwrap_or(false),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Up,
    Down,
    Status,
}

#[derive(Debug, PartialEq, Eq)]
struct Asked {
    action: Action,
    services: Vec<Service>,
    folder: Option<PathBuf>,
}

/// Does what was asked.
pub(crate) fn run(environment: &Environment, words: &[&str]) -> Result<Outcome> {
    let Some(asked) = read(words) else {
        talk::say(USAGE);
        return Ok(Outcome::BadUsage);
    };
    let folder = asked
        .folder
        .unwrap_or_else(|| environment.target.join("services"));
    let mut all_hold = true;
    for service in asked.services {
        let home = folder.join(service.name());
        match asked.action {
            Action::Up => talk::say(&up(environment, service, &home)?),
            Action::Down => {
                daemon::stop(&home, service.name())?;
                talk::say(&format!("{} is down", service.name()));
            }
            Action::Status => {
                let url = running(service, &home);
                all_hold &= url.is_some();
                let said = url.unwrap_or_else(|| "down".to_owned());
                talk::say(&format!("{}: {said}", service.name()));
            }
        }
    }
    Ok(Outcome::of(all_hold))
}

/// Both services while a measurement lasts.
pub(crate) struct Both {
    folder: PathBuf,
    pub(crate) redis: String,
    pub(crate) mongodb: String,
}

impl Both {
    /// Starts both with nothing in them, in a folder of their own.
    pub(crate) fn start(environment: &Environment, folder: PathBuf) -> Result<Self> {
        let mut both = Self {
            folder,
            redis: String::new(),
            mongodb: String::new(),
        };
        both.stop()?;
        if both.folder.is_dir() {
            std::fs::remove_dir_all(&both.folder)
                .with_context(|| format!("{} cannot be emptied", both.folder.display()))?;
        }
        let home = |service: Service| both.folder.join(service.name());
        let redis = up(environment, Service::Redis, &home(Service::Redis))?;
        let mongodb = up(environment, Service::Mongod, &home(Service::Mongod))?;
        (both.redis, both.mongodb) = (redis, mongodb);
        Ok(both)
    }

    fn stop(&self) -> Result<()> {
        Service::ALL
            .into_iter()
            .try_for_each(|service| daemon::stop(&self.folder.join(service.name()), service.name()))
    }
}

impl Drop for Both {
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            talk::say(&format!(
                "services of {} run on: {error:#}",
                self.folder.display()
            ));
        }
    }
}

/// Starts it where it does not run yet; the answer is its URL.
fn up(environment: &Environment, service: Service, home: &Path) -> Result<String> {
    if let Some(url) = running(service, home) {
        return Ok(url);
    }
    std::fs::create_dir_all(home).with_context(|| format!("{} cannot be made", home.display()))?;
    let home = home
        .canonicalize()
        .with_context(|| format!("{}", home.display()))?;
    // A server that runs and does not answer yet, or not as it should.
    daemon::stop(&home, service.name())?;
    let port = port_of(service, &home)?;
    match service {
        Service::Redis => redis::start(environment, &home, port)?,
        Service::Mongod => mongod::start(environment, &home, port)?,
    }
    Ok(service.url(port))
}

/// The URL, where it runs and answers.
fn running(service: Service, home: &Path) -> Option<String> {
    daemon::id(home, service.name())?;
    let port = remembered_port(home)?;
    service.answers(port).then(|| service.url(port))
}

/// The port it had, else the usual one, else any that is free.
fn port_of(service: Service, home: &Path) -> Result<u16> {
    let wished = remembered_port(home).unwrap_or(service.usual_port());
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, wished))
        .or_else(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
        .context("no port of this machine is free")?;
    let port = listener.local_addr()?.port();
    let file = home.join("port");
    std::fs::write(&file, port.to_string()).with_context(|| format!("{}", file.display()))?;
    Ok(port)
}

fn remembered_port(home: &Path) -> Option<u16> {
    let text = std::fs::read_to_string(home.join("port")).ok()?;
    text.trim().parse().ok()
}

fn read(words: &[&str]) -> Option<Asked> {
    let (action, mut rest) = words.split_first()?;
    let action = match *action {
        "up" => Action::Up,
        "down" => Action::Down,
        "status" => Action::Status,
        _ => return None,
    };
    let (mut services, mut folder) = (Vec::new(), None);
    while let Some((word, others)) = rest.split_first() {
        rest = others;
        if *word == "--dir" {
            let (path, others) = rest.split_first()?;
            (folder, rest) = (Some(PathBuf::from(path)), others);
        } else {
            let service = Service::ALL.into_iter().find(|one| one.name() == *word)?;
            services.push(service);
        }
    }
    if services.is_empty() {
        services.extend(Service::ALL);
    }
    Some(Asked {
        action,
        services,
        folder,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_named_is_both_and_an_unknown_word_is_refused() {
        let both = read(&["up"]).unwrap();
        assert_eq!(both.services, Service::ALL);
        let one = read(&["down", "redis", "--dir", "there"]).unwrap();
        assert_eq!(one.services, [Service::Redis]);
        assert_eq!(one.folder, Some(PathBuf::from("there")));
        for words in [&["up", "postgres"][..], &["start"], &["up", "--dir"], &[]] {
            assert_eq!(read(words), None, "{words:?}");
        }
    }
}
