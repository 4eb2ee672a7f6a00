//! Redis and MongoDB with user and password, and Redis over TLS: the whole way of a mail, and one sentence
//! where a login or a certificate is wrong.

use crate::harness::{Backend, Folder, command, refused, until};
use crate::redis_queues::sign_up;
use crate::relay::certificate;
use crate::services::{Mongod, Redis, free_port};
use mongodb::bson::{Document, doc};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Holds what an address must escape.
const PASSWORD: &str = "p@ss/w:rd?#";
const PASSWORD_ESCAPED: &str = "p%40ss%2Fw%3Ard%3F%23";

/// What it says where it does not start for a fault around it; never a password.
fn said_when_refused(folder: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> String {
    let mut command = command(folder);
    command.args(["--port-base", "0"]).args(arguments);
    let (code, said) = refused(command.envs(environment.iter().copied()));
    assert_eq!(code, Some(3), "{said}");
    for word in [PASSWORD, PASSWORD_ESCAPED, "wrongword"] {
        assert!(!said.contains(word), "{said}");
    }
    said
}

async fn a_mail_goes_out(backend: &Backend) {
    sign_up(backend, "ada").await;
    until("the mail", async || {
        (backend.mails().len() == 1).then_some(())
    })
    .await;
}

#[tokio::test]
async fn redis_by_its_parts_logs_in_with_user_and_password() {
    let user = format!(">{PASSWORD}");
    let acl = ["--user", "default", "off", "--user", "flow", "on", &user];
    let acl = [&acl[..], &["~*", "&*", "+@all"]].concat();
    let Some(redis) = Redis::start_with(&acl).await else {
        return;
    };
    let url = redis.url();
    let (_, port) = url.rsplit_once(':').expect("a port");
    let parts = |password| {
        [
            ("REDIS_HOST", "127.0.0.1"),
            ("REDIS_PORT", port),
            ("REDIS_USERNAME", "flow"),
            ("REDIS_PASSWORD", password),
        ]
    };
    let folder = Folder::new();
    let said = said_when_refused(folder.path(), &[], &parts("wrongword"));
    assert!(said.contains("Redis"), "{said}");
    let backend = Backend::start_with(folder.path(), &[], &parts(PASSWORD));
    a_mail_goes_out(&backend).await;
}

#[tokio::test]
async fn redis_is_spoken_to_by_tls_and_only_where_its_certificate_is_vouched_for() {
    let certificates = Folder::new();
    certificate(certificates.path());
    let named = |name: &str| {
        let path = certificates.path().join(name);
        path.to_str().expect("a plain path").to_owned()
    };
    let (pem, key) = (named("relay.pem"), named("relay.key"));
    let port = free_port().to_string();
    let arguments = [
        ["--tls-port", port.as_str()],
        ["--tls-cert-file", pem.as_str()],
        ["--tls-key-file", key.as_str()],
        ["--tls-ca-cert-file", pem.as_str()],
        ["--tls-auth-clients", "no"],
    ];
    let Some(_redis) = Redis::start_with(arguments.as_flattened()).await else {
        return;
    };
    let url = format!("rediss://127.0.0.1:{port}");
    let queue = ["--queue", url.as_str()];
    let folder = Folder::new();
    let said = said_when_refused(folder.path(), &queue, &[]);
    assert!(said.contains("certificate"), "{said}");
    let vouched = [("REDIS_CA_FILE", pem.as_str())];
    let backend = Backend::start_with(folder.path(), &queue, &vouched);
    a_mail_goes_out(&backend).await;
    // What asks from outside speaks TLS too.
    let ports = backend.ready()["urls"].clone();
    let port_of = |name: &str| {
        let url = ports[name].as_str().expect("a URL");
        url.rsplit_once(':').expect("a port").1.to_owned()
    };
    let status = command(folder.path())
        .args(["status", "--json"])
        .args(queue)
        .envs(vouched)
        .env("LOAD_BALANCER_PORT", port_of("balancer"))
        .output()
        .expect("the program was built with this test");
    let status: serde_json::Value = serde_json::from_slice(&status.stdout).expect("JSON");
    let parts = status["parts"].as_array().expect("parts");
    let redis = parts.iter().find(|part| part["id"] == "queue");
    assert_eq!(redis.expect("the queue")["up"], true, "{status}");
}

#[tokio::test]
async fn mongodb_logs_in_with_user_and_password() {
    let Some(mut mongod) = Mongod::start().await else {
        return;
    };
    let admin = mongodb::Client::with_uri_str(mongod.url("admin"))
        .await
        .expect("a URL");
    let roles = ["readWrite", "dbAdmin"].map(|role| doc! {"role": role, "db": "login"});
    admin
        .database("admin")
        .run_command(doc! {"createUser": "flow", "pwd": PASSWORD, "roles": roles.to_vec()})
        .await
        .expect("a user");
    admin.shutdown().immediate(true).await;
    let keys = Folder::new();
    let path = keys.path().join("key");
    let mut file = std::fs::File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&path)
        .expect("a file");
    file.write_all(b"membersOfOneReplicaSet").expect("a file");
    mongod.stop();
    let key = path.to_str().expect("a plain path");
    mongod.restart_with(&["--auth", "--keyFile", key]).await;
    let with = |password: &str| {
        let url = mongod
            .url("login")
            .replace("//", &format!("//flow:{password}@"));
        format!("{url}&authSource=admin")
    };
    let folder = Folder::new();
    let said = said_when_refused(folder.path(), &["--store", &with("wrongword")], &[]);
    assert!(said.contains("MongoDB"), "{said}");
    let good = with(PASSWORD_ESCAPED);
    let backend = Backend::start_with(folder.path(), &[], &[("MONGODB_URI", &good)]);
    a_mail_goes_out(&backend).await;
    let reader = mongodb::Client::with_uri_str(&good).await.expect("a URL");
    let signups = reader.database("login").collection::<Document>("signups");
    assert_eq!(signups.count_documents(doc! {}).await.expect("a count"), 1);
}
