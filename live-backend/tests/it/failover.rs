//! A server dies under load: the balancer avoids it, and its sockets come back on the others.
//!
//! Belongs here: what clients see of it. Does not belong here: jobs (`roles_kills`), choice (balance).

use crate::harness::until;
use crate::redis_queues::ask;
use crate::roles::{System, log_in, sign_up};
use flowreel_live_backend::load::{Http, Socket};
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Between two requests.
const PERIOD: Duration = Duration::from_millis(20);
/// Requests before the kill: two seconds.
const BEFORE: u32 = 100;
/// Requests after it: ten seconds.
const AFTER: u32 = 500;
/// From then on after the kill there is none.
const CLEAN_AFTER: Duration = Duration::from_secs(2);
/// Of all requests in that time.
const ERROR_SHARE_MAX: f64 = 0.01;
/// `server --index 2` among the roles.
const SERVER_2: usize = 3;
const PEOPLE: usize = 6;

/// What is bought when all is over.
const LAST: &str = "a last lantern";

/// Somebody with a socket.
#[derive(Default)]
struct Person {
    connections: usize,
    has_heard_the_last: bool,
}

type People = Arc<Mutex<Vec<Person>>>;

/// Hears and confirms, and comes back as any client does when the connection is lost.
async fn hear(base: String, token: String, person: usize, people: People) {
    let mut ticks = tokio::time::interval(Duration::from_millis(100));
    loop {
        ticks.tick().await;
        let Ok(mut socket) = Socket::connect(&base, "/").await else {
            continue;
        };
        if socket.authenticate(&token).await.is_err() {
            continue;
        }
        people.lock().expect("nobody failed")[person].connections += 1;
        while let Ok(event) = socket.next_event().await {
            if event.name != "notification:new" {
                continue;
            }
            if event.data["message"].to_string().contains(LAST) {
                people.lock().expect("nobody failed")[person].has_heard_the_last = true;
            }
            let id = json!({"id": event.data["id"]});
            if socket.emit("notification:ack", &id).await.is_err() {
                break;
            }
        }
    }
}

async fn connections(people: &People, count: usize) {
    until("every socket to be there", async || {
        let people = people.lock().expect("nobody failed");
        let all: usize = people.iter().map(|it| it.connections).sum();
        (all == count).then_some(())
    })
    .await;
}

/// One request: when it was sent, and why it failed.
#[derive(Clone)]
struct Asked {
    at: Instant,
    fault: Option<String>,
}

async fn ask_once(http: Arc<Http>, number: u32, token: String) -> Asked {
    let at = Instant::now();
    // Some of them change something, which is never sent twice.
    let answer = if number.is_multiple_of(5) {
        let body = json!({"item": format!("lantern {number}"), "amount": 1.5, "currency": "EUR"});
        http.post("/api/purchases", &body, Some(&token)).await
    } else {
        http.get("/api/health", None).await
    };
    let fault = match answer {
        Ok((200 | 201, _)) => None,
        Ok((status, answer)) => Some(format!("{status} {answer}")),
        Err(error) => Some(error.to_string()),
    };
    Asked { at, fault }
}

/// A request every [`PERIOD`], whether earlier ones are answered or not; says when it is time to kill.
async fn ask_steadily(base: String, token: String, is_time: Arc<Notify>) -> Vec<Asked> {
    let mut ticks = tokio::time::interval(PERIOD);
    let (http, mut asking) = (Arc::new(Http::new(&base)), JoinSet::new());
    for number in 0..BEFORE + AFTER {
        ticks.tick().await;
        if number == BEFORE {
            is_time.notify_one();
        }
        asking.spawn(ask_once(Arc::clone(&http), number, token.clone()));
    }
    asking.join_all().await
}

fn judge(all: &[Asked], killed: Instant) {
    let is_before = |asked: &&Asked| asked.at < killed;
    let (before, after): (Vec<_>, Vec<_>) = all.iter().partition(is_before);
    let failed: Vec<(f64, &String)> = all
        .iter()
        .filter_map(|asked| {
            let s = asked.at.duration_since(begun(all)).as_secs_f64()
                - killed.duration_since(begun(all)).as_secs_f64();
            Some((s, asked.fault.as_ref()?))
        })
        .collect();
    let share = failed.len() as f64 / after.len() as f64;
    println!(
        "{} requests before the kill, {} in the ten seconds after it, {} failed ({share:.4}): {failed:?}",
        before.len(),
        after.len(),
        failed.len(),
    );
    assert!(share <= ERROR_SHARE_MAX, "{share}: {failed:?}");
    // Those that were on their way when the server died were sent less than a second before.
    let allowed = -1.0..=CLEAN_AFTER.as_secs_f64();
    assert!(
        failed.iter().all(|(s, _)| allowed.contains(s)),
        "{failed:?}"
    );
}

fn begun(all: &[Asked]) -> Instant {
    all.iter().map(|asked| asked.at).min().expect("some")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_killed_under_load_costs_one_request_in_a_hundred_at_most_and_its_sockets_move() {
    let Some(mut system) = System::start(&[]).await else {
        return;
    };
    let balancer = system.balancer();
    let base = balancer.base().to_owned();
    let mut redis = system.redis().connection().await;
    let mut tokens = Vec::new();
    for person in 0..PEOPLE {
        let name = format!("person-{person}");
        sign_up(&balancer, &name).await;
        tokens.push(log_in(&balancer, &name).await);
    }
    let people: People = Arc::default();
    let mut hearing = JoinSet::new();
    for (person, token) in tokens.iter().enumerate() {
        people
            .lock()
            .expect("nobody failed")
            .push(Person::default());
        hearing.spawn(hear(
            base.clone(),
            token.clone(),
            person,
            Arc::clone(&people),
        ));
    }
    connections(&people, PEOPLE).await;
    let online: usize = ask(&mut redis, &["HLEN", "flowreel:online:server-2"]).await;
    assert!(online > 0, "nobody is at server-2");
    let cookie = until("a handshake at server-2", async || {
        let given = stuck_to(&base, None).await;
        (given == "2").then_some(given)
    })
    .await;
    assert_eq!(stuck_to(&base, Some(&cookie)).await, "2", "it sticks");

    let (mut load, is_time) = (JoinSet::new(), Arc::new(Notify::new()));
    load.spawn(ask_steadily(
        base.clone(),
        tokens[0].clone(),
        Arc::clone(&is_time),
    ));
    is_time.notified().await;
    tokio::task::block_in_place(|| system.signal(SERVER_2, "-KILL"));
    let killed = Instant::now();
    // Whoever was at server-2 is told so by the end of the connection, and comes back as any client does.
    connections(&people, PEOPLE + online).await;
    let given = stuck_to(&base, Some(&cookie)).await;
    assert!(["1", "3"].contains(&given.as_str()), "sticks to {given}");
    let asked = load.join_all().await.concat();
    judge(&asked, killed);
    // Everybody is told, on whichever server.
    for token in &tokens {
        let body = json!({"item": LAST, "amount": 1.5, "currency": "EUR"});
        let bought = balancer.post("/api/purchases", &body, Some(token)).await;
        assert_eq!(bought.expect("an answer").0, 201);
    }
    until("everybody to be told", async || {
        let people = people.lock().expect("nobody failed");
        people.iter().all(|it| it.has_heard_the_last).then_some(())
    })
    .await;
    let mut elsewhere = BTreeSet::new();
    for server in ["server-1", "server-3"] {
        let key = format!("flowreel:online:{server}");
        let users: Vec<String> = ask(&mut redis, &["HKEYS", &key]).await;
        elsewhere.extend(users);
    }
    assert_eq!(elsewhere.len(), PEOPLE, "{elsewhere:?}");
}

/// The server that a polling handshake sticks to, asked for with this cookie.
async fn stuck_to(base: &str, cookie: Option<&str>) -> String {
    use std::io::{Read, Write};
    let authority = base.trim_start_matches("http://").to_owned();
    let cookie = cookie.map_or(String::new(), |number| {
        format!("Cookie: flowreel_server={number}\r\n")
    });
    let asked = tokio::task::spawn_blocking(move || {
        let mut stream = std::net::TcpStream::connect(&authority).expect("the balancer");
        let request = format!(
            "GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: {authority}\r\n{cookie}Connection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).expect("it takes it");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    });
    let answer = asked.await.expect("no panic");
    let (_, rest) = answer
        .split_once("flowreel_server=")
        .unwrap_or_else(|| panic!("no cookie in {answer}"));
    rest.chars().take_while(char::is_ascii_digit).collect()
}
