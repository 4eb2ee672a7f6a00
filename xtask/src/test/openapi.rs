//! The backend's description against the backend: Schemathesis makes requests of it, wrong ones too.
//!
//! Belongs here: getting Schemathesis, starting the backend, what counts as wrong. Does not belong here: the
//! description (live-backend/src/router).

use crate::demo::child::Running;
use crate::environment::Environment;
use crate::process;
use crate::steps::Ending;
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

const PACKAGE: &str = "schemathesis==4.32.5";
/// Requests made up per route, for each of the two callers.
const EXAMPLES: &str = "40";
const PATIENCE: Duration = Duration::from_secs(60);
/// A failed server, a status that is not described, an answer of another shape, wrong input that is taken.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
                      response_schema_conformance,unsupported_method,negative_data_rejection";
/// One never ends, the other makes ten thousand requests of one.
const LEFT_OUT: [&str; 2] = ["/api/live-view/reel", "/api/live-view/simulate"];

pub(super) fn check(environment: &Environment) -> Result<Ending> {
    let schemathesis = install(environment)?;
    let data = environment.target.join("xtask-test/openapi");
    if data.exists() {
        std::fs::remove_dir_all(&data).context("the last run's data cannot be removed")?;
    }
    let mut command = Command::new(environment.program("flowreel-live"));
    command
        .args(["--port-base", "0", "--print-ready", "--record", "off"])
        .arg("--data")
        .arg(&data)
        .env("RUST_LOG", "error");
    let mut backend = Running::start(command)?;
    let ready: Value = serde_json::from_str(&backend.line(PATIENCE)?)?;
    let base = ready["urls"]["balancer"].as_str().context("it has a URL")?;
    let admin = ready["admin_token"].as_str().context("it has a token")?;
    let user = user_token(base)?;
    for (token, method) in [
        (admin, "--exclude-method"),
        (user.as_str(), "--exclude-method"),
        // Last, for they end the sessions, each its own first.
        (user.as_str(), "--include-method"),
        (admin, "--include-method"),
    ] {
        let mut run = Command::new(&schemathesis);
        run.current_dir(&data)
            .arg("run")
            .arg(format!("{base}/openapi.json"))
            .args(["--header", &format!("Authorization: Bearer {token}")])
            .args(["--checks", CHECKS, "--max-examples", EXAMPLES])
            .args(["--phases", "examples,coverage,fuzzing", "--seed", "1"])
            .args(["--no-color", "--request-timeout", "30"])
            .args([method, "DELETE"]);
        for path in LEFT_OUT {
            run.args(["--exclude-path", path]);
        }
        process::run(&mut run)?;
    }
    backend.terminate(PATIENCE)?;
    Ok(Ending::Passed(format!(
        "{PACKAGE}, as administrator and as user"
    )))
}

fn user_token(base: &str) -> Result<String> {
    let (email, password) = ("ada@people.example", "correct horse 1");
    let signup = json!({"username": "ada", "email": email, "password": password});
    let login = json!({"email": email, "password": password});
    ask(&format!("{base}/api/signups"), &signup)?;
    let answer = ask(&format!("{base}/api/logins"), &login)?;
    let token = answer["sessionToken"].as_str();
    Ok(token.context("a login answers a token")?.to_owned())
}

fn ask(url: &str, body: &Value) -> Result<Value> {
    crate::demo::http::post(url, "", body)
}

fn install(environment: &Environment) -> Result<PathBuf> {
    let home = environment.target.join("xtask-schemathesis");
    let program = home.join("bin/schemathesis");
    let stamp = home.join("packages");
    if std::fs::read_to_string(&stamp).is_ok_and(|held| held == PACKAGE) {
        return Ok(program);
    }
    let mut make = Command::new("python3");
    process::run(make.args(["-m", "venv", "--clear"]).arg(&home))?;
    let mut install = Command::new(home.join("bin/python"));
    install.args(["-m", "pip", "install", "--quiet", "--no-input"]);
    process::run(install.args(["--disable-pip-version-check", PACKAGE]))?;
    std::fs::write(&stamp, PACKAGE).with_context(|| format!("{}", stamp.display()))?;
    Ok(program)
}
