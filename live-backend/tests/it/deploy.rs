//! The files of `deploy/` that others read: they fit what the program offers.
//!
//! Belongs here: the dashboard, the proxy. Does not belong here: roles (roles).

use crate::harness::{Backend, Folder, notification, until};
use crate::metrics::metrics;
use crate::services::{free_port, program};
use flowreel_live_backend::load::{Http, Socket};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Child, Command, Stdio};

fn deployed(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy");
    std::fs::read_to_string(path.join(name)).expect("it ships")
}

/// Names of metrics in a query.
fn names_in(query: &str) -> impl Iterator<Item = &str> {
    query
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| word.starts_with("flowreel_"))
}

#[tokio::test]
async fn the_dashboard_asks_only_for_figures_that_are_exported() {
    let dashboard: Value = serde_json::from_str(&deployed("grafana/flowreel.json")).expect("JSON");
    for key in ["title", "uid", "schemaVersion", "panels", "templating"] {
        assert!(!dashboard[key].is_null(), "{key}");
    }
    let folder = Folder::new();
    let mut backend = Backend::start(folder.path(), &[]);
    backend.user("ada").await;
    let text = metrics(backend.http.base()).await;
    let samples: BTreeSet<&str> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split(['{', ' ']).next())
        .collect();
    let panels = dashboard["panels"].as_array().expect("a list");
    let queries: Vec<&str> = panels
        .iter()
        .flat_map(|panel| panel["targets"].as_array().expect("a list"))
        .map(|target| target["expr"].as_str().expect("a query"))
        .collect();
    assert!(queries.len() >= panels.len(), "each panel asks something");
    let mut asked = BTreeSet::new();
    for query in queries {
        let names: Vec<&str> = names_in(query).collect();
        assert!(!names.is_empty(), "{query}");
        for name in names {
            assert!(samples.contains(name), "{name} is not exported: {query}");
            asked.insert(name.to_owned());
        }
    }
    assert!(asked.len() >= 15, "{asked:?}");
    backend.stop();
}

/// A running nginx; it ends when this is dropped.
struct Nginx(Child);

impl Drop for Nginx {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[tokio::test]
async fn nginx_passes_requests_and_sockets_on_to_the_balancer() {
    let Some(nginx) = program("nginx", "apt-get install nginx-light") else {
        return;
    };
    let folder = Folder::new();
    let mut backend = Backend::start(folder.path(), &[]);
    let port = free_port();
    let balancer = backend.http.base().trim_start_matches("http://");
    let sample = deployed("nginx/flowreel.conf")
        .replace("127.0.0.1:8000", balancer)
        .replace("listen 8080;", &format!("listen 127.0.0.1:{port};"));
    let whole = format!(
        "master_process off; pid nginx.pid; error_log stderr; events {{}}\n\
         http {{ access_log off; client_body_temp_path body; proxy_temp_path proxy; \
         fastcgi_temp_path fast; uwsgi_temp_path uwsgi; scgi_temp_path scgi;\n{sample}\n}}\n"
    );
    std::fs::write(folder.path().join("nginx.conf"), whole).expect("the folder can be written");
    let child = Command::new(nginx)
        .arg("-p")
        .arg(folder.path())
        .args(["-c", "nginx.conf", "-g", "daemon off;"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn();
    let _nginx = Nginx(child.expect("it was found before"));
    let base = format!("http://127.0.0.1:{port}");
    let http = Http::new(&base);
    until("nginx to answer", async || {
        let (status, _) = http.get("/api/health", None).await.ok()?;
        (status == 200).then_some(())
    })
    .await;
    let login = backend.user("ada").await;
    let mut socket = Socket::connect(&base, "/").await.expect("an upgrade");
    let token = login["sessionToken"].as_str().expect("a token");
    socket.authenticate(token).await.expect("auth:success");
    assert_eq!(notification(&mut socket).await["type"], "login");
    socket.close().await;
    backend.stop();
}
