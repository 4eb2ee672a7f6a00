//! What the machine must have besides a Rust tool chain, and how it gets it.
//!
//! Belongs here: system packages, installed where we may, named with the exact command where we may not.
//! Does not belong here: services for tests (services).

use crate::environment::Environment;
use crate::steps::Ending;
use crate::{process, talk};
use anyhow::{Result, bail};
use std::process::{Command, Stdio};

/// Drawing without a display or a graphics card: the Vulkan loader and a software device.
const PICTURES: &[&str] = &["libvulkan1", "mesa-vulkan-drivers"];

/// Opening the window on X11, also on an invisible one.
const WINDOW: &[&str] = &[
    "libxkbcommon-x11-0",
    "libx11-6",
    "libx11-xcb1",
    "libxcursor1",
    "libxi6",
    "libxrandr2",
];

/// Driving the window from tests.
const WINDOW_TESTS: &[&str] = &["xvfb", "xauth", "xdotool"];

/// What tests talk to or through: a queue server, stock clients, a proxy, certificates; mongod is no Debian
/// package (services).
const SERVICES: &[(&str, &str)] = &[
    ("openssl", "openssl"),
    ("redis-server", "redis-server"),
    ("node", "nodejs"),
    ("npm", "npm"),
    ("nginx", "nginx-light"),
];

/// What a command needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// Everything the checks use.
    Checks,
    /// What running the demonstration takes.
    Demonstration,
    /// What building libFuzzer takes.
    Fuzzing,
}

/// Installs what is missing where we may; otherwise says what to type.
pub(crate) fn provide(environment: &Environment, need: Need) -> Result<Ending> {
    let mut wanted: Vec<&str> = match need {
        Need::Checks | Need::Demonstration => [PICTURES, WINDOW].concat(),
        // libFuzzer is C++ and comes as source.
        Need::Fuzzing if environment.has("c++") => Vec::new(),
        Need::Fuzzing => vec!["g++"],
    };
    if need == Need::Checks {
        wanted.extend(WINDOW_TESTS);
        // Debian ships the module without what it needs to make an environment.
        if !environment.has("python3") {
            wanted.push("python3");
        }
        if !can_make_python_environments() {
            wanted.push("python3-venv");
        }
        for (program, package) in SERVICES {
            if !environment.has(program) {
                wanted.push(package);
            }
        }
    }
    if !environment.has("dpkg-query") {
        let remark = format!(
            "not a Debian: the equivalents of these packages must be there: {}",
            wanted.join(" ")
        );
        return Ok(Ending::Skipped(remark));
    }
    let installed = install_packages(environment, &wanted)?;
    Ok(Ending::Passed(installed))
}

/// Installs those that are missing where we may, and says which; an error says what to type.
pub(crate) fn install_packages(environment: &Environment, packages: &[&str]) -> Result<String> {
    let missing: Vec<&str> = packages
        .iter()
        .copied()
        .filter(|name| !is_installed(name))
        .collect();
    if missing.is_empty() {
        return Ok(String::new());
    }
    let missing_list = missing.join(" ");
    let by_hand = format!("apt-get install -y --no-install-recommends {missing_list}");
    if !environment.has("dpkg-query") {
        bail!("not a Debian: the equivalents of these packages must be there: {missing_list}");
    }
    if !environment.is_root {
        bail!("packages are missing; run: sudo {by_hand}");
    }
    talk::say(&format!("    {by_hand}"));
    if install(&missing).is_err() {
        // Package lists may be old or empty; with fresh ones a second failure is the answer.
        process::run(apt(&["update"]).stdout(Stdio::null()))?;
        install(&missing)?;
    }
    Ok(format!("installed {missing_list}"))
}

fn can_make_python_environments() -> bool {
    let mut ask = Command::new("python3");
    ask.args(["-c", "import ensurepip, venv"])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    ask.status().is_ok_and(|status| status.success())
}

fn is_installed(package: &str) -> bool {
    let mut query = Command::new("dpkg-query");
    query
        .args(["-W", "-f", "${Status}", package])
        .stderr(Stdio::null());
    query
        .output()
        .is_ok_and(|answer| answer.stdout.ends_with(b"ok installed"))
}

fn install(packages: &[&str]) -> Result<()> {
    let mut command = apt(&["install", "-y", "--no-install-recommends"]);
    process::run(command.args(packages).stdout(Stdio::null()))
}

fn apt(arguments: &[&str]) -> Command {
    let mut command = Command::new("apt-get");
    command
        .args(["-q", "-o", "DPkg::Lock::Timeout=300"])
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null());
    command
}
