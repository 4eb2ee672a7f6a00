//! `kill -9` of any role at random while people buy: what was accepted is told to them, as one notification.
//!
//! A confirmation may die with the server or balancer it travels through. The notification then comes again under
//! its id, by which a client tells the repetition; on one connection it never comes twice. Each person is told
//! first of what was accepted first.
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
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Kills of an ordinary check.
const KILLS: usize = 8;
const PEOPLE: usize = 4;
/// Between two purchases of one person: all together less than the in-app worker may tell in a second.
const PAUSE: Duration = Duration::from_millis(500);
/// Purchases accepted between two kills.
const BETWEEN: usize = 6;
/// Notifications that the in-app worker tells in a second, unless told otherwise.
const TOLD_PER_S: u32 = 10;

/// What one person did and heard.
#[derive(Default)]
struct Person {
    /// Numbers of the purchases that were accepted.
    accepted: Vec<usize>,
    /// What was told, as often and in the order as it came.
    told: Vec<Told>,
}

struct Told {
    purchase: usize,
    notification: String,
    /// Connections of this person so far.
    connection: usize,
}

impl Person {
    /// What was accepted and is not told.
    fn missing(&self) -> impl Iterator<Item = usize> {
        let accepted = self.accepted.iter().copied();
        accepted.filter(|&number| !self.has_heard_of(number))
    }

    fn has_heard_of(&self, purchase: usize) -> bool {
        self.told.iter().any(|told| told.purchase == purchase)
    }
}

type Book = Arc<Mutex<Vec<Person>>>;

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_killed_what_was_accepted_is_told_as_one_notification() {
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
    let (backlog, last_kill) = (missing_count(&book), Instant::now());
    // What the worker's rate needs for it.
    let needed = Duration::from_secs(1) * u32::try_from(backlog).expect("few") / TOLD_PER_S;
    let told = "all that was accepted to be told";
    waited_for(&book, told, needed + PATIENCE, |book| {
        book.iter().all(|it| it.missing().next().is_none())
    })
    .await;
    let took = last_kill.elapsed();
    stop_hearing.cancel();
    while let Some(ended) = hearers.join_next().await {
        ended.expect("no hearer fails");
    }
    let book = book.lock().expect("nobody failed");
    let (mut again, mut late) = (0, 0);
    for person in book.iter() {
        let mut known = BTreeMap::<usize, &Told>::new();
        for told in &person.told {
            if let Some(first) = known.get(&told.purchase) {
                assert_eq!(told.notification, first.notification, "two notifications");
                assert_ne!(told.connection, first.connection, "twice on one connection");
                again += 1;
            }
            known.insert(told.purchase, told);
        }
        // Order is promised to what was answered, and shown by what was told first.
        let mut first = Vec::new();
        for told in &person.told {
            if person.accepted.contains(&told.purchase) && !first.contains(&told.purchase) {
                first.push(told.purchase);
            }
        }
        let overtaken = first.windows(2).filter(|pair| pair[0] > pair[1]);
        late += overtaken
            .inspect(|pair| println!("{pair:?} in {first:?}"))
            .count();
    }
    let accepted: usize = book.iter().map(|it| it.accepted.len()).sum();
    println!("{accepted} accepted, {again} came again, {late} out of order, killed {killed:?}");
    println!("{backlog} were to be told after the last kill, which took {took:?}");
    assert!(accepted >= kills() * BETWEEN, "{accepted}");
    assert_eq!(late, 0, "told out of order");
}

/// Buys one thing after the other; what is not answered counts for nothing.
async fn buy(person: usize, http: Http, token: String, book: Book, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(PAUSE);
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
    for connection in 0.. {
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
            if let Some(purchase) = number_of(person, &event.data) {
                let notification = event.data["id"].as_str().expect("an id").to_owned();
                let told = Told {
                    purchase,
                    notification,
                    connection,
                };
                book.lock().expect("nobody failed")[person].told.push(told);
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

fn missing_count(book: &Book) -> usize {
    let book = book.lock().expect("nobody failed");
    book.iter().map(|it| it.missing().count()).sum()
}

async fn waited(book: &Book, what: &str, is_so: impl Fn(&[Person]) -> bool) {
    waited_for(book, what, PATIENCE, is_so).await;
}

async fn waited_for(
    book: &Book,
    what: &str,
    patience: Duration,
    is_so: impl Fn(&[Person]) -> bool,
) {
    let mut ticks = tokio::time::interval(Duration::from_millis(20));
    let looking = async {
        while !is_so(&book.lock().expect("nobody failed")) {
            ticks.tick().await;
        }
    };
    let found = tokio::time::timeout(patience, looking).await;
    assert!(
        found.is_ok(),
        "waited {patience:?} in vain for {what}: {} are missing: {}",
        missing_count(book),
        shown(book)
    );
}

fn shown(book: &Book) -> String {
    let book = book.lock().expect("nobody failed");
    let of = |it: &Person| (it.accepted.len(), it.missing().collect::<Vec<_>>());
    let all: Vec<_> = book.iter().map(of).collect();
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
