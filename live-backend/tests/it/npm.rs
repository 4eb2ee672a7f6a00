//! Programs written for Node.js: packages from npm by name, scripts that use them.
//!
//! Belongs here: installing once per target folder, running a script with a deadline. Does not belong here: scripts.
//!
//! Where node or npm is absent, or its registry cannot be reached, this is said and the test checks nothing,
//! unless `FLOWREEL_SERVICES=required`.

use crate::harness::{Folder, PATIENCE};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::sync_channel;

/// The client that everybody uses.
pub(crate) const SOCKET_IO_CLIENT: &str = "socket.io-client@4.8";

/// A folder whose `node_modules` has these packages (`name@version`), or `None` where they cannot be had.
pub(crate) fn packages(names: &[&str]) -> Option<PathBuf> {
    for program in ["node", "npm"] {
        let found = Command::new(program)
            .arg("--version")
            .stdout(Stdio::null())
            .status();
        if !found.is_ok_and(|status| status.success()) {
            skip(&format!(
                "`{program}` is not installed; install Node.js 18 or later"
            ));
            return None;
        }
    }
    let name = names.join("+").replace(['/', '@'], "-");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("npm-{name}"));
    std::fs::create_dir_all(&folder).expect("the target folder can be written");
    // Tests are processes of their own: the first one installs, the others wait for it.
    let lock = File::create(folder.join("lock")).expect("the target folder can be written");
    lock.lock().expect("the target folder can be locked");
    if folder.join("whole").is_file() {
        return Some(folder);
    }
    let installed = Command::new("npm")
        .args([
            "install",
            "--no-audit",
            "--no-fund",
            "--no-save",
            "--prefix",
        ])
        .arg(&folder)
        .args(names)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .output()
        .expect("npm was found before");
    if installed.status.success() {
        File::create(folder.join("whole")).expect("the target folder can be written");
        return Some(folder);
    }
    skip(&format!(
        "npm cannot install {}: {}",
        names.join(", "),
        String::from_utf8_lossy(&installed.stderr).trim()
    ));
    None
}

/// What the script printed; it must end well within the tests' patience.
pub(crate) async fn run(modules: &Path, script: &str, arguments: &[&str]) -> String {
    let own = Folder::new();
    let path = own.path().join("script.js");
    std::fs::write(&path, script).expect("the target folder can be written");
    let child = Command::new("node")
        .env("NODE_PATH", modules.join("node_modules"))
        .arg(&path)
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("node was found before");
    let (output_in, output) = sync_channel(1);
    std::thread::spawn(move || drop(output_in.send(child.wait_with_output())));
    let output = tokio::task::spawn_blocking(move || output.recv_timeout(PATIENCE));
    let output = output
        .await
        .expect("no panic")
        .expect("the script has a deadline");
    let output = output.expect("it was started here");
    let said = String::from_utf8_lossy(&output.stderr);
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{printed}");
    printed
}

fn skip(reason: &str) {
    crate::services::skip(&format!("npm: {reason}"));
}
