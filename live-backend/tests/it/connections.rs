//! Connections over their life: opened, proved, heard from, lost and taken up again; and how they are counted.
//!
//! Belongs here: what a client and its server owe each other. Does not belong here: misuse (socket_limits),
//! runs of in-app jobs (in_app_runs).

use crate::harness::{Backend, Folder, PATIENCE, count, event, notification, sound_reel, until};
use crate::raw::{exchange, request};
use flowreel_engine::model::event::{EventKind, Outcome, StageEvent};
use flowreel_engine::recording::ReelReader;
use flowreel_live_backend::load::Socket;
use flowreel_live_backend::telemetry::Place;
use futures_util::{SinkExt, StreamExt};
use serde_json::json;
use std::cell::Cell;
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_tungstenite::tungstenite::Message;

/// Nothing else comes before the answer to a ping.
async fn is_silent(socket: &mut Socket) {
    socket.emit("ping", &json!({})).await.expect("a socket");
    let next = socket.next_event().await.expect("a socket");
    assert_eq!(next.name, "pong", "{next:?}");
}

async fn online_count(backend: &Backend, number: usize) {
    until(&format!("{number} users online"), async || {
        let status = backend.status().await;
        let online = status["onlineUsers"].as_array().expect("a list");
        (online.len() == number).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_was_missed_comes_exactly_once_after_the_connection_is_back() {
    let folder = Folder::new();
    // Nobody who is told waited out the rest of a day.
    let rest = [("INAPP_RETRY_DELAY", "86400000")];
    let mut backend = Backend::start_with(folder.path(), &[], &rest);
    let (ada, socket) = backend.quiet_client("ada").await;
    online_count(&backend, 1).await;
    // Cut, without a farewell.
    drop(socket);
    online_count(&backend, 0).await;
    backend.buy(&ada).await;
    backend.queue_has("in-app-retry", "delayed", 1).await;

    let back = Instant::now();
    let mut socket = backend.socket_of(&ada).await;
    let missed = notification(&mut socket).await;
    assert!(back.elapsed() < Duration::from_secs(5), "not at once");
    assert_eq!(missed["type"], "purchase");
    backend.queue_has("in-app", "completed", 1).await;
    is_silent(&mut socket).await;
    drop(socket);
    online_count(&backend, 0).await;
    let mut again = backend.socket_of(&ada).await;
    is_silent(&mut again).await;
    backend.queue_has("in-app-retry", "delayed", 0).await;
    let told = backend.notifications_of(&ada).await;
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0]["status"], "delivered");
    let events = sound_reel(&backend.stop());
    let sent = events
        .iter()
        .filter(|event| event.kind == EventKind::InAppDelivered);
    assert_eq!(sent.count(), 1);
}

#[tokio::test]
async fn a_client_that_falls_silent_is_dropped_after_two_beats_and_one_that_answers_stays() {
    const BEAT: Duration = Duration::from_secs(1);
    let folder = Folder::new();
    let environment = [("WS_HEARTBEAT_INTERVAL", "1000")];
    let mut backend = Backend::start_with(folder.path(), &[], &environment);
    let (_ada, mut talker) = backend.quiet_client("ada").await;

    let authority = backend.http.base().trim_start_matches("http://").to_owned();
    let stream = tokio::net::TcpStream::connect(&authority).await;
    let url = format!("ws://{authority}/socket.io/?EIO=4&transport=websocket");
    let joined = tokio_tungstenite::client_async(url, stream.expect("it listens")).await;
    let (mut silent, _answer) = joined.expect("a WebSocket");
    silent.send(Message::text("40")).await.expect("a socket");
    // It answers the first beat, which comes at once, and nothing from there on.
    let listening = async {
        let (mut beats, mut last_word) = (0, Instant::now());
        while let Some(Ok(message)) = silent.next().await {
            if message != Message::text("2") {
                continue;
            }
            beats += 1;
            if beats == 1 {
                silent.send(Message::text("3")).await.expect("a socket");
                last_word = Instant::now();
            }
        }
        (beats, last_word.elapsed())
    };
    let (beats, lived) = tokio::select! {
        ended = tokio::time::timeout(PATIENCE, listening) => ended.expect("it is dropped"),
        heard = talker.next_event() => panic!("{heard:?}"),
    };
    assert_eq!(beats, 2, "the second one was waited for");
    assert!(lived >= BEAT * 2 - BEAT / 10, "{lived:?}: too early");
    assert!(lived <= BEAT * 3, "{lived:?}: too late");
    is_silent(&mut talker).await;
    until("one connection", async || {
        let status = backend.status().await;
        (status["websocket"]["totalConnections"] == 1).then_some(())
    })
    .await;
    let events = sound_reel(&backend.stop());
    let opened = of_kinds(&events, &[EventKind::ConnectionOpened]);
    assert_eq!(opened.len(), 2);
}

#[tokio::test]
async fn a_ping_is_answered_within_100_ms() {
    let folder = Folder::new();
    let backend = Backend::start(folder.path(), &[]);
    let (_ada, mut socket) = backend.quiet_client("ada").await;
    // Less than the hundred messages a second that a client may send.
    let mut ticks = tokio::time::interval(Duration::from_millis(12));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // Where a machine does other things and one is late, the count begins again.
    let (mut in_a_row, started) = (0, Instant::now());
    while in_a_row < 41 {
        assert!(started.elapsed() < PATIENCE, "only {in_a_row} in a row");
        ticks.tick().await;
        let begun = Instant::now();
        socket.emit("ping", &json!({})).await.expect("a socket");
        let pong = event(&mut socket, "pong").await;
        let is_quick = begun.elapsed() < Duration::from_millis(100);
        in_a_row = if is_quick { in_a_row + 1 } else { 0 };
        assert!(pong["timestamp"].is_string(), "{pong}");
    }
}

#[tokio::test]
async fn a_socket_that_proves_its_user_twice_counts_once() {
    let folder = Folder::new();
    let mut backend = Backend::start(folder.path(), &[]);
    let (ada, ben) = (
        backend.quiet_user("ada").await,
        backend.quiet_user("ben").await,
    );
    let mut socket = backend.socket_of(&ada).await;
    // Again, and then as somebody else.
    for session in [&ada, &ben] {
        let token = session["sessionToken"].as_str().expect("a token");
        let answer = socket.authenticate(token).await.expect("auth:success");
        assert_eq!(answer["userId"], session["userId"]);
    }
    let other = backend.socket_of(&ada).await;
    drop(socket);
    online_count(&backend, 1).await;
    drop(other);
    online_count(&backend, 0).await;
    let events = sound_reel(&backend.stop());
    // The state counts one up and one down for each, so that it shows how many there are now.
    let kinds = [
        EventKind::ConnectionOpened,
        EventKind::ConnectionAuthenticated,
        EventKind::ConnectionClosed,
    ];
    assert_eq!(kinds.map(|kind| count(&events, kind)), [2; 3]);
    let closed = of_kinds(&events, &[EventKind::ConnectionClosed]);
    assert!(closed.iter().all(|event| event.outcome == Outcome::Ok));
}

fn of_kinds<'a>(events: &'a [StageEvent], kinds: &[EventKind]) -> Vec<&'a StageEvent> {
    let is_one = |event: &&StageEvent| kinds.contains(&event.kind);
    events.iter().filter(is_one).collect()
}

#[tokio::test]
async fn a_connection_is_opened_proved_and_joined_before_it_hears_anything() {
    let folder = Folder::new();
    let mut backend = Backend::start(folder.path(), &[]);
    let (ada, mut socket) = backend.quiet_client("ada").await;
    backend.buy(&ada).await;
    notification(&mut socket).await;
    backend.queue_has("in-app", "completed", 1).await;
    socket.close().await;
    online_count(&backend, 0).await;
    let events = sound_reel(&backend.stop());
    let flow = [
        EventKind::ConnectionOpened,
        EventKind::ConnectionAuthenticated,
        EventKind::RoomJoined,
        EventKind::InAppDelivered,
        EventKind::InAppAcknowledged,
        EventKind::RoomLeft,
        EventKind::ConnectionClosed,
    ];
    let seen = of_kinds(&events, &flow);
    let kinds: Vec<EventKind> = seen.iter().map(|event| event.kind).collect();
    assert_eq!(kinds, flow);
    assert_eq!(seen[1].value.to_string(), ada["userId"].as_str().unwrap());
    assert_eq!(seen[2].value, 1, "one member");
}

#[tokio::test]
async fn jobs_and_broadcasts_are_both_in_the_recording() {
    let folder = Folder::new();
    let mut backend = Backend::start(folder.path(), &[]);
    let (ada, mut socket) = backend.quiet_client("ada").await;
    backend.buy(&ada).await;
    notification(&mut socket).await;
    let news = json!({"type": "login", "title": "Maintenance", "message": "Back at noon"});
    backend.act("/api/notifications/broadcast", &news).await;
    event(&mut socket, "notification:broadcast").await;
    backend.queue_has("in-app", "completed", 1).await;
    let reel = backend.stop();
    let events = sound_reel(&reel);
    let path = [
        (EventKind::JobAdded, Place::InApp),
        (EventKind::JobPickedUp, Place::InApp),
        (EventKind::InAppDelivered, Place::Websocket),
    ];
    let component = path.map(|(kind, place)| (kind, place.component()));
    let seen = events
        .iter()
        .map(|event| (event.kind, event.component))
        .filter(|step| component.contains(step));
    assert_eq!(seen.collect::<Vec<_>>(), component, "by the queue");
    let straight = of_kinds(&events, &[EventKind::ControlApplied]);
    assert_eq!(straight.len(), 1, "past the queues");
    assert_eq!(straight[0].component, Place::Websocket.component());
    let detail = detail_of(&reel, straight[0]);
    assert!(detail.contains("broadcast"), "{detail}");
}

fn detail_of(reel: &Path, event: &StageEvent) -> String {
    let mut reel = ReelReader::open(reel).expect("a reel");
    let detail = reel.read_detail(event.detail).expect("readable");
    format!("{detail:?}")
}

#[tokio::test]
async fn twenty_polls_of_one_client_are_answered_by_one_server() {
    let folder = Folder::new();
    let backend = Backend::start(folder.path(), &["--record", "off"]);
    let base = backend.http.base();
    let server_of = |answer: &str| {
        let named = answer
            .lines()
            .find_map(|line| line.strip_prefix("x-server: "));
        named
            .unwrap_or_else(|| panic!("no server named in {answer}"))
            .to_owned()
    };
    let mut chosen = BTreeSet::new();
    for _client in 0..3 {
        let path = "/socket.io/?EIO=4&transport=polling";
        let open = exchange(base, request(&format!("GET {path}"), "", "")).await;
        let server = server_of(&open);
        let (_, rest) = open.split_once(r#""sid":""#).expect("a handshake");
        let (sid, _) = rest.split_once('"').expect("a handshake");
        let path = format!("{path}&sid={sid}");
        let post = async |packet: &str| {
            let sent = exchange(base, request(&format!("POST {path}"), "", packet)).await;
            assert_eq!(server_of(&sent), server, "{sent}");
        };
        let poll = async || {
            let polled = exchange(base, request(&format!("GET {path}"), "", "")).await;
            assert_eq!(server_of(&polled), server, "{polled}");
            // A beat of the server's wants its answer.
            let is_beat = polled.ends_with("\r\n\r\n2");
            if is_beat {
                post("3").await;
            }
            (polled, is_beat)
        };
        post("40").await;
        let (mut polls, mut pongs) = (0, 0);
        while polls < 20 {
            let (polled, is_beat) = poll().await;
            let is_joined = polled.contains(r#"40{"sid""#);
            let is_pong = polled.contains(r#"42["pong""#);
            assert!(is_joined || is_pong || is_beat, "{polled}");
            pongs += u32::from(is_pong);
            polls += 1;
            if !is_beat {
                post(r#"42["ping",{}]"#).await;
            }
        }
        assert!(pongs >= 17, "{pongs} answers to pings");
        chosen.insert(server);
    }
    assert_eq!(
        chosen.len(),
        3,
        "each client has the next server: {chosen:?}"
    );
}

#[tokio::test]
async fn who_comes_and_goes_is_seen_in_the_live_view_within_a_second() {
    let folder = Folder::new();
    let backend = Backend::start(folder.path(), &[]);
    let ada = backend.quiet_user("ada").await;
    let mut view = Socket::connect(backend.http.base(), "/live-view")
        .await
        .expect("a socket");
    view.emit("authenticate", &json!({"token": backend.admin_token}))
        .await
        .expect("a socket");
    event(&mut view, "system:status").await;
    let mut told = async |wanted: u64, begun: Instant| loop {
        let card = event(&mut view, "component:metrics").await;
        if card["component"] == "websocket" && card["metrics"]["totalConnections"] == wanted {
            return begun.elapsed();
        }
    };
    let begun = Instant::now();
    let socket = backend.socket_of(&ada).await;
    online_count(&backend, 1).await;
    let seen = begun.elapsed();
    assert!(seen < Duration::from_secs(1), "came, seen after {seen:?}");
    let before = told(1, begun).await;
    let begun = Instant::now();
    drop(socket);
    online_count(&backend, 0).await;
    let seen = begun.elapsed();
    assert!(seen < Duration::from_secs(1), "left, seen after {seen:?}");
    let after = told(0, begun).await;
    for told in [before, after] {
        assert!(told < Duration::from_secs(1), "told after {told:?}");
    }
}

#[tokio::test]
async fn a_hundred_messages_a_second_are_shown_as_a_hundred() {
    let folder = Folder::new();
    let backend = Backend::start(folder.path(), &["--record", "off"]);
    let ada = backend.quiet_user("ada").await;
    let mut sockets = Vec::new();
    for _ in 0..5 {
        sockets.push(backend.socket_of(&ada).await);
    }
    let talking = async {
        let mut ticks = tokio::time::interval(Duration::from_millis(10));
        for turn in 0.. {
            ticks.tick().await;
            let socket = &mut sockets[turn % 5];
            // Each is answered by one message.
            socket.emit("ping", &json!({})).await.expect("a socket");
            event(socket, "pong").await;
        }
    };
    let in_a_row = Cell::new(0);
    let shown = until("a second of 95 to 105 messages", async || {
        let status = backend.status().await;
        let rate = status["websocket"]["messagesPerSecond"].as_f64();
        let is_there = rate.is_some_and(|rate| (95.0..=105.0).contains(&rate));
        in_a_row.set(if is_there { in_a_row.get() + 1 } else { 0 });
        (in_a_row.get() == 50).then_some(())
    });
    tokio::select! {
        () = shown => {}
        () = talking => unreachable!("it goes on"),
    }
}
