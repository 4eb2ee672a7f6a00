//! Control where every role is a process of its own: it reaches each of them, also those that start later.

use crate::harness::until;
use crate::roles::{System, log_in, sign_up};
use flowreel_live_backend::load::Http;
use redis::aio::MultiplexedConnection;
use serde_json::{Value, json};
use std::collections::BTreeSet;

async fn control(http: &Http, system: &System, command: &Value) -> Value {
    let token = system.admin_token();
    let answer = http
        .post("/api/live-view/control", command, Some(token))
        .await;
    let (status, answer) = answer.expect("an answer");
    assert_eq!(status, 200, "{command}: {answer}");
    answer
}

async fn in_force(http: &Http, system: &System) -> Value {
    let token = system.admin_token();
    let answer = http.get("/api/live-view/control", Some(token)).await;
    let (status, answer) = answer.expect("an answer");
    assert_eq!(status, 200, "{answer}");
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_reach_the_balancer_and_processes_that_start_later() {
    let Some(mut system) = System::start(&[]).await else {
        return;
    };
    let balancer = system.balancer();
    let [first, second, third] = [1, 2, 3].map(|index| Http::new(&system.server_url(index)));
    sign_up(&balancer, "ada").await;

    // A fault at the balancer, taken by a server, holds in the balancer's process until it is ended.
    let down = json!({"fault": {"target": "balancer", "kind": "down"}});
    let begun = control(&first, &system, &down).await;
    until("the balancer to refuse", async || {
        let (status, answer) = balancer.get("/api/health", None).await.ok()?;
        (status == 503 && answer["error"]["code"] == "fault_injected").then_some(())
    })
    .await;
    let id = begun["fault"]["id"].clone();
    let ended = control(&second, &system, &json!({ "end": id })).await;
    assert_eq!(ended["faults"], json!([]));
    until("the balancer to answer", async || {
        let (status, _) = balancer.get("/api/health", None).await.ok()?;
        (status == 200).then_some(())
    })
    .await;

    // What is set and broken while a process is away is so once it is back.
    assert!(tokio::task::block_in_place(|| system.signal(4, "-TERM")));
    let set = json!({"set": {"delays.serverProcessing": 40, "balancer.algorithm": "least-connections",
        "workers.mail.rate_per_s": 50}});
    control(&first, &system, &set).await;
    let slow = json!({"fault": {"target": "database", "kind": "delay",
        "delay": {"dist": "deterministic", "mean_s": 0.01}}});
    let kept = control(&first, &system, &slow).await;
    let gone = json!({"fault": {"target": "smtp", "kind": "slow", "factor": 2}});
    let gone = control(&first, &system, &gone).await;
    control(&second, &system, &json!({"end": gone["fault"]["id"]})).await;
    tokio::task::block_in_place(|| system.restart(4));
    let now = in_force(&third, &system).await;
    assert_eq!(now["settings"]["delays.serverProcessing"], 40, "{now}");
    assert_eq!(now["settings"]["workers.mail.rate_per_s"], 50.0, "{now}");
    assert_eq!(now["settings"]["balancer.algorithm"], "least-connections");
    let faults = now["faults"].as_array().expect("a list");
    assert_eq!(faults.len(), 1, "{now}");
    assert_eq!(faults[0]["id"], kept["fault"]["id"], "{now}");

    // The process that took the fault may go; it holds elsewhere, and can be ended there.
    assert!(tokio::task::block_in_place(|| system.signal(2, "-TERM")));
    let now = in_force(&third, &system).await;
    assert_eq!(now["faults"].as_array().map(Vec::len), Some(1), "{now}");
    tokio::task::block_in_place(|| system.restart(2));
    let now = in_force(&first, &system).await;
    assert_eq!(now["faults"][0]["id"], kept["fault"]["id"], "{now}");
    control(&third, &system, &json!({"end": kept["fault"]["id"]})).await;
    until("the fault to be over everywhere", async || {
        let (one, two) = (
            in_force(&first, &system).await,
            in_force(&second, &system).await,
        );
        (one["faults"] == json!([]) && two["faults"] == json!([])).then_some(())
    })
    .await;
    log_in(&balancer, "ada").await;
}

/// Redis gives these commands again, or no longer.
async fn permit(redis: &mut MultiplexedConnection, sign: char) {
    let mut rule = redis::cmd("ACL");
    rule.arg("SETUSER").arg("default");
    for command in ["hset", "hsetnx", "hdel"] {
        rule.arg(format!("{sign}{command}"));
    }
    let done: String = rule.query_async(redis).await.expect("Redis 6 or later");
    assert_eq!(done, "OK");
}

/// What is kept of faults and settings.
async fn kept(redis: &mut MultiplexedConnection) -> BTreeSet<String> {
    let mut asked = redis::cmd("HKEYS");
    asked.arg("flowreel:in-force");
    asked.query_async(redis).await.expect("an answer")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_redis_did_not_take_or_has_lost_stays_in_force_until_it_is_ended() {
    let Some(system) = System::start(&[]).await else {
        return;
    };
    let mut redis = system.redis().connection().await;
    let [first, second, third] = [1, 2, 3].map(|index| Http::new(&system.server_url(index)));
    let servers = [&first, &second, &third];
    let hold = async |ids: &BTreeSet<&str>| {
        until("the faults to hold everywhere", async || {
            for server in servers {
                let now = in_force(server, &system).await;
                let faults = now["faults"].as_array().expect("a list").iter();
                let held: BTreeSet<&str> = faults.filter_map(|it| it["id"].as_str()).collect();
                if held != *ids {
                    return None;
                }
            }
            Some(())
        })
        .await;
    };
    let set = json!({"set": {"delays.queueing": 1}});
    control(&first, &system, &set).await;

    // Redis refuses to keep a fault, and later that it is over; both are kept once it can be.
    permit(&mut redis, '-').await;
    let slow = json!({"fault": {"target": "smtp", "kind": "slow", "factor": 2}});
    let begun = control(&first, &system, &slow).await;
    let id = begun["fault"]["id"].as_str().expect("an id").to_owned();
    let field = format!("fault:{id}");
    assert!(!kept(&mut redis).await.contains(&field));
    permit(&mut redis, '+').await;
    until("the fault to be kept", async || {
        let mut redis = redis.clone();
        kept(&mut redis).await.contains(&field).then_some(())
    })
    .await;
    hold(&BTreeSet::from([id.as_str()])).await;
    permit(&mut redis, '-').await;
    control(&first, &system, &json!({"end": id})).await;
    assert!(kept(&mut redis).await.contains(&field));
    permit(&mut redis, '+').await;
    until("the fault to be kept no longer", async || {
        let mut redis = redis.clone();
        (!kept(&mut redis).await.contains(&field)).then_some(())
    })
    .await;
    hold(&BTreeSet::new()).await;

    // Redis loses what two servers began and a third process set.
    let of_first = control(&first, &system, &slow).await;
    let of_second = control(&second, &system, &slow).await;
    let ids = [&of_first, &of_second].map(|begun| begun["fault"]["id"].as_str().expect("an id"));
    let mut fields = BTreeSet::from(ids.map(|id| format!("fault:{id}")));
    fields.insert("set:delays.queueing".to_owned());
    hold(&BTreeSet::from(ids)).await;
    assert!(kept(&mut redis).await.is_superset(&fields));
    let lost: u64 = redis::cmd("DEL")
        .arg("flowreel:in-force")
        .query_async(&mut redis)
        .await
        .expect("an answer");
    assert_eq!(lost, 1);
    // Another command is kept before anybody has looked.
    control(&third, &system, &json!({"set": {"delays.loadBalancer": 1}})).await;
    fields.insert("set:delays.loadBalancer".to_owned());
    until("everything to be kept again", async || {
        let mut redis = redis.clone();
        kept(&mut redis).await.is_superset(&fields).then_some(())
    })
    .await;
    hold(&BTreeSet::from(ids)).await;
    for id in ids {
        control(&third, &system, &json!({"end": id})).await;
    }
    hold(&BTreeSet::new()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_are_listed_and_one_that_is_killed_is_named() {
    let Some(mut system) = System::start(&[]).await else {
        return;
    };
    until("every part to be up", async || {
        let (code, _) = system.status();
        (code == Some(0)).then_some(())
    })
    .await;
    let (_, answer) = system.status();
    let ids: BTreeSet<&str> = answer["parts"]
        .as_array()
        .expect("parts")
        .iter()
        .filter_map(|part| part["id"].as_str())
        .collect();
    assert!(ids.is_superset(&BTreeSet::from(["mail-worker", "in-app-worker"])));
    tokio::task::block_in_place(|| system.signal(5, "-KILL"));
    until("the mail worker to be missed", async || {
        let (code, answer) = system.status();
        let parts = answer["parts"].as_array().expect("parts").clone();
        let down: Vec<Value> = parts
            .into_iter()
            .filter(|part| part["up"] == false)
            .map(|part| part["id"].clone())
            .collect();
        (code == Some(1) && down == [json!("mail-worker")]).then_some(())
    })
    .await;
    // The balancer is missed by the servers it no longer asks.
    let first = Http::new(&system.server_url(1));
    let token = system.admin_token().to_owned();
    let word = async || {
        let answer = first
            .get("/api/live-view/status", Some(token.as_str()))
            .await;
        let (status, answer) = answer.expect("an answer");
        assert_eq!(status, 200, "{answer}");
        answer["loadBalancer"]["status"].clone()
    };
    assert_eq!(word().await, "active");
    tokio::task::block_in_place(|| system.signal(1, "-KILL"));
    let killed = tokio::time::Instant::now();
    until("the balancer to be missed", async || {
        (word().await == "inactive").then_some(())
    })
    .await;
    let took = killed.elapsed().as_secs_f64();
    assert!(took <= 2.5, "{took} s");
}
