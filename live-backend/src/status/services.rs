//! The parts without a listener of ours: store, queue, relay, and the workers between them.
//!
//! Belongs here: asking each in its own protocol, workers by their signs of life. Does not belong here: how answers read (status).

use super::{PATIENCE, PartStatus};
use crate::config::{
    Address, Process, QueuePart, Relay, RemoteRelay, Security, Settings, StorePart,
};
use crate::redis_client::redis_client;
use crate::store::MongoAddress;
use crate::websocket::{LIVING_KEY, WHO_LIVES};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::TcpStream;

/// Longest greeting of a relay that is read.
const GREETING_BYTES_MAX: u64 = 1024;
/// Roles without a listener.
const WORKERS: [&str; 2] = ["mail-worker", "in-app-worker"];
/// A process says every two seconds that it lives.
const SILENCE_S: u64 = 6;

/// Asks the store, the queue and the relay; embedded ones live in the servers and are asked there.
pub(super) async fn ask(settings: &Settings, healths: &[&Value]) -> Vec<PartStatus> {
    let embedded = |id: &'static str| PartStatus::new(id, "embedded", by_health(id, healths));
    let store = async {
        match &settings.store {
            StorePart::Embedded => embedded("store"),
            StorePart::MongoDb(address) => {
                in_time("store", address.to_string(), asked(address)).await
            }
        }
    };
    let queue = async {
        match &settings.queue {
            QueuePart::Embedded => embedded("queue"),
            QueuePart::Redis(address) => {
                in_time("queue", address.to_string(), redis(address)).await
            }
        }
    };
    let relay = async {
        match &settings.relay {
            Relay::Embedded => embedded("smtp"),
            Relay::Remote(relay) => {
                let shown = format!("{}:{}", relay.host, relay.port);
                in_time("smtp", shown, greeting(relay)).await
            }
        }
    };
    let (store, queue, relay, workers) =
        tokio::join!(store, queue, relay, workers(settings, healths));
    let parts = [store, queue, relay].into_iter();
    parts.chain(workers).collect()
}

/// Workers have no listener: those of other processes say in Redis that they live.
async fn workers(settings: &Settings, healths: &[&Value]) -> Vec<PartStatus> {
    let QueuePart::Redis(address) = &settings.queue else {
        let problem = healths
            .is_empty()
            .then(|| "no server answers for it".to_owned());
        return WORKERS
            .map(|role| PartStatus::new(role, "embedded", problem.clone()))
            .into();
    };
    let living = match tokio::time::timeout(PATIENCE, living(address)).await {
        Ok(living) => living,
        Err(_late) => Err(format!("no answer within {} s", PATIENCE.as_secs())),
    };
    let status = |role: &'static str| {
        let is_it = |name: &String| {
            let of_role = name.split(':').next();
            of_role == Some(role) || of_role == Some(Process::All.name())
        };
        let problem = match &living {
            Ok(names) if names.iter().any(is_it) => None,
            Ok(_) => Some(format!("none has said that it lives for {SILENCE_S} s")),
            Err(problem) => Some(problem.clone()),
        };
        PartStatus::new(role, address.to_string(), problem)
    };
    WORKERS.map(status).into()
}

async fn living(address: &Address) -> Result<Vec<String>, String> {
    let client = redis_client(address.with_secret(), address.ca());
    let client = client.map_err(|error| error.to_string())?;
    let asking = async {
        let mut connection = client.get_multiplexed_async_connection().await?;
        let mut asked = redis::cmd("EVAL");
        asked.arg(WHO_LIVES).arg(1).arg(LIVING_KEY).arg(SILENCE_S);
        asked.query_async(&mut connection).await
    };
    asking
        .await
        .map_err(|error: redis::RedisError| error.to_string())
}

async fn in_time(
    id: &'static str,
    address: String,
    asking: impl Future<Output = Result<(), String>>,
) -> PartStatus {
    let problem = match tokio::time::timeout(PATIENCE, asking).await {
        Ok(answer) => answer.err(),
        Err(_late) => Some(format!("no answer within {} s", PATIENCE.as_secs())),
    };
    PartStatus::new(id, address, problem)
}

/// What the servers say about a part that lives in them.
fn by_health(id: &str, healths: &[&Value]) -> Option<String> {
    let path = format!("/checks/{id}");
    let said: Vec<&str> = healths
        .iter()
        .filter_map(|health| health.pointer(&path)?.as_str())
        .collect();
    if said.is_empty() {
        return Some("no server answers for it".to_owned());
    }
    said.contains(&"down")
        .then(|| "a server says that it is down".to_owned())
}

async fn redis(address: &Address) -> Result<(), String> {
    let client = redis_client(address.with_secret(), address.ca());
    let client = client.map_err(|error| error.to_string())?;
    let asking = async {
        let mut connection = client.get_multiplexed_async_connection().await?;
        redis::cmd("PING")
            .query_async::<String>(&mut connection)
            .await
    };
    asking.await.map(drop).map_err(|error| error.to_string())
}

async fn asked(address: &MongoAddress) -> Result<(), String> {
    address.answers().await.map_err(|error| error.to_string())
}

/// A relay that is well greets with 220; behind TLS from the first byte, that it listens must do.
async fn greeting(relay: &RemoteRelay) -> Result<(), String> {
    let stream = TcpStream::connect((relay.host.as_str(), relay.port)).await;
    let stream = stream.map_err(|error| error.to_string())?;
    if relay.security == Security::Tls {
        return Ok(());
    }
    let mut line = String::new();
    let mut reader = BufReader::new(stream.take(GREETING_BYTES_MAX));
    let reading = reader.read_line(&mut line).await;
    reading.map_err(|error| error.to_string())?;
    if line.starts_with("220") {
        return Ok(());
    }
    Err("it does not greet as a mail relay does".to_owned())
}
