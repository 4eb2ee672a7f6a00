//! `kill -9` of any role at random while people buy: what was accepted is told to them, once.
//!
//! `FLOWREEL_KILLS` sets how many roles die.

use crate::harness::PATIENCE;
use crate::roles::{ROLES, System, log_in, sign_up};
use flowreel_live_backend::load::{Http, Socket};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Kills of an ordinary check.
const KILLS: usize = 8;
const PEOPLE: usize = 4;
/// Purchases accepted between two kills.
const BETWEEN: usize = 6;

/// What one person did and heard.
#[derive(Default)]
struct Person {
    /// Numbers of the purchases that were accepted.
    accepted: Vec<usize>,
    /// Numbers of the purchases told, as often and in the order as they came.
    told: Vec<usize>,
}

type Book = Arc<Mutex<Vec<Person>>>;

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_killed_what_was_accepted_is_told_and_told_once() {
    // A minute's rest becomes 3 s, and nobody is given up while roles come and go.
    let settings = ["--retry-scale", "20"];
    let Some(mut system) = System::start(&settings).await else {
        return;
    };
    let balancer = system.balancer();
    let book: Book = Arc::new(Mutex::new((0..PEOPLE).map(|_| Person::default()).collect()));
    let (stop_buying, stop_hearing) = (CancellationToken::new(), CancellationToken::new());
    let (mut buyers, mut hearers) = (JoinSet::new(), JoinSet::new());
    for person in 0..PEOPLE {
        let name = format!("person-{person}");
        sign_up(&balancer, &name).await;
        let token = log_in(&balancer, &name).await;
        let url = balancer.base().to_owned();
        hearers.spawn(hear(
            person,
            url,
            token.clone(),
            Arc::clone(&book),
            stop_hearing.clone(),
        ));
        let http = system.balancer();
        buyers.spawn(buy(
            person,
            http,
            token,
            Arc::clone(&book),
            stop_buying.clone(),
        ));
    }
    let mut draw = draws(0x5eed);
    let mut killed = BTreeMap::<&str, usize>::new();
    for _ in 0..kills() {
        let before = accepted_count(&book);
        waited(&book, "purchases", |book| {
            book.iter().map(|it| it.accepted.len()).sum::<usize>() >= before + BETWEEN
        })
        .await;
        let at = usize::try_from(draw() % ROLES.len() as u64).expect("small");
        tokio::task::block_in_place(|| {
            system.signal(at, "-KILL");
            system.restart(at);
        });
        *killed.entry(ROLES[at][0]).or_default() += 1;
    }
    stop_buying.cancel();
    while let Some(ended) = buyers.join_next().await {
        ended.expect("no buyer fails");
    }
    waited(&book, "all that was accepted to be told", |book| {
        book.iter()
            .all(|it| it.accepted.iter().all(|number| it.told.contains(number)))
    })
    .await;
    stop_hearing.cancel();
    while let Some(ended) = hearers.join_next().await {
        ended.expect("no hearer fails");
    }
    let book = book.lock().expect("nobody failed");
    let (mut twice, mut late) = (0, 0);
    for person in book.iter() {
        let mut seen = person.told.clone();
        seen.sort_unstable();
        twice += seen.windows(2).filter(|pair| pair[0] == pair[1]).count();
        late += person
            .told
            .windows(2)
            .filter(|pair| pair[0] > pair[1])
            .count();
    }
    let accepted: usize = book.iter().map(|it| it.accepted.len()).sum();
    println!("{accepted} accepted, {twice} told twice, {late} out of order, killed {killed:?}");
    assert!(accepted >= kills() * BETWEEN, "{accepted}");
    assert_eq!(twice, 0, "told twice");
}

/// Buys one thing after the other; what is not answered counts for nothing.
async fn buy(person: usize, http: Http, token: String, book: Book, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(Duration::from_millis(150));
    for number in 0.. {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let item = format!("lantern {person}-{number}.");
        let body = json!({"item": item, "amount": 1.5, "currency": "EUR"});
        if let Ok((201, _)) = http.post("/api/purchases", &body, Some(&token)).await {
            book.lock().expect("nobody failed")[person]
                .accepted
                .push(number);
        }
    }
}

/// Hears and confirms, and comes back whenever the connection is lost.
async fn hear(person: usize, url: String, token: String, book: Book, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(Duration::from_millis(100));
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let Ok(mut socket) = Socket::connect(&url, "/").await else {
            continue;
        };
        if socket.authenticate(&token).await.is_err() {
            continue;
        }
        loop {
            let event = tokio::select! {
                () = stop.cancelled() => return,
                event = socket.next_event() => event,
            };
            let Ok(event) = event else { break };
            if event.name != "notification:new" {
                continue;
            }
            if let Some(number) = number_of(person, &event.data) {
                book.lock().expect("nobody failed")[person]
                    .told
                    .push(number);
            }
            let id = json!({"id": event.data["id"]});
            if socket.emit("notification:ack", &id).await.is_err() {
                break;
            }
        }
    }
}

/// Which purchase a notification tells of.
fn number_of(person: usize, news: &Value) -> Option<usize> {
    let text = news["message"].as_str()?;
    let (_, rest) = text.split_once(&format!("lantern {person}-"))?;
    rest.split_once('.')?.0.parse().ok()
}

fn accepted_count(book: &Book) -> usize {
    let book = book.lock().expect("nobody failed");
    book.iter().map(|it| it.accepted.len()).sum()
}

async fn waited(book: &Book, what: &str, is_so: impl Fn(&[Person]) -> bool) {
    let mut ticks = tokio::time::interval(Duration::from_millis(20));
    let looking = async {
        while !is_so(&book.lock().expect("nobody failed")) {
            ticks.tick().await;
        }
    };
    let found = tokio::time::timeout(PATIENCE, looking).await;
    assert!(found.is_ok(), "waited in vain for {what}: {}", shown(book));
}

fn shown(book: &Book) -> String {
    let book = book.lock().expect("nobody failed");
    let missing = |it: &Person| -> Vec<usize> {
        let is_missing = |number: &&usize| !it.told.contains(number);
        it.accepted.iter().filter(is_missing).copied().collect()
    };
    let all: Vec<_> = book
        .iter()
        .map(|it| (it.accepted.len(), missing(it)))
        .collect();
    format!("{all:?}")
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test is told so how long it lasts"
)]
fn kills() -> usize {
    let told = std::env::var_os("FLOWREEL_KILLS").and_then(|text| text.into_string().ok());
    told.map_or(KILLS, |text| {
        text.parse().expect("FLOWREEL_KILLS is a number")
    })
}

/// Marsaglia's xorshift: the same roles die in every run.
fn draws(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    }
}
